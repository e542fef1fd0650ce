"""The chat page: static files without a build step, served by `serving/static_page.py`."""
