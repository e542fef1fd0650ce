"""The error of every configuration file and setting: one line that names what to change."""


class ConfigError(Exception):
    """A file or setting is wrong; the message names the file, the row, the field and the reason."""
