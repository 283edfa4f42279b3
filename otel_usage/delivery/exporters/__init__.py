"""The end of the pipeline: admission, and the senders to the project's endpoint and the operator's collector."""
