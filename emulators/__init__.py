"""AWS on a laptop: small servers that speak the AWS wire protocols. Imports nothing of ours.

Used by the command line and by tests only. Nothing checks signatures; everything binds 127.0.0.1
unless told otherwise.
"""

from emulators.app import EmulatorSettings
from emulators.faults import FaultRule
from emulators.runner import RunningEmulator, run_in_thread

__all__ = ["EmulatorSettings", "FaultRule", "RunningEmulator", "run_in_thread"]
