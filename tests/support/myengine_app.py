"""A made-up app is declared as an adopter declares a real one."""

from otel_usage import App, EnvironmentFact, Fact

APP = App(
    "myengine",
    version="1.2.0",
    endpoint="https://stats.example.org",
    contexts=["API_SERVER", "BATCH_RUNNER"],
    facts=[
        Fact("quantization", str, values=("awq", "gptq"), why="which kernels to optimise first"),
        Fact("scheduler", str, why="which plugins to support"),
        Fact("batch", int, unit="{sequence}", step=8, why="which sizes to tune for"),
        Fact("cache_share", float, step=0.01, why="which default to choose"),
        Fact("eager", bool, why="whether graphs help"),
        Fact("note", str, open="operators name their own site", why="to show what free text looks like"),
        EnvironmentFact("myengine_env", [Fact("MYENGINE_FAST", bool, why="who uses it")], why="who changes defaults"),
        Fact("requests", int, on="heartbeat", unit="{request}", why="how much a run serves"),
    ],
)
