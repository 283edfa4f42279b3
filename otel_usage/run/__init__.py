"""One run of an app: its report, its heartbeats, the notice, and the mark that keeps a run from reporting twice."""
