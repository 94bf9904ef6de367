"""The HTTP API: thin functions that read a request, call a service, and give its answer."""
