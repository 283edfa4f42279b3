"""One run of an app: its report, its heartbeats, the notice, and the marker that keeps a run from reporting twice."""
