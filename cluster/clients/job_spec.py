"""A job file's keys as the fields of a JobSpec, schemas/job.capnp: keys that are missing have the
defaults there. The daemon looks at all of it and says what is wrong. Rewards that bring files of
their own want `troupe submit`.
"""

import os
import tomllib

PATHS = ("model", "train", "cold_start", "held_out")
OTHERWISE = {  # Keys of a job file that are not called so in job.capnp.
    "betas": lambda value: {"beta1": value[0], "beta2": value[1]},
    "columns": lambda value: {f"{column}Column": name for column, name in value.items()},
    "copies": lambda value: {"checkpointCopies": value},
    "model": lambda value: {"model": value, "config": ""},  # One of the two.
    "template": lambda value: {"templateName": value},
}


def job_spec(path):
    """Relative paths count from the file's folder."""
    with open(path, "rb") as file:
        tables = tomllib.load(file)
    folder = os.path.dirname(os.path.abspath(path))
    rewards = [reward(name, keys) for name, keys in tables.pop("rewards", {}).items()]
    spec = {"rewards": rewards, "schedule": {}}
    for table, keys in tables.items():
        if not isinstance(keys, dict):
            spec[table] = keys
            continue
        made = spec.setdefault("schedule" if table == "storage" else table, {})
        for key, value in keys.items():
            if key == "cold_start" and isinstance(value, str):
                value = [value]
            if key in PATHS:
                value = ([os.path.join(folder, one) for one in value] if isinstance(value, list)
                         else os.path.join(folder, value))
            made.update(OTHERWISE[key](value) if key in OTHERWISE else {camel(key): value})
        if table == "sft" and "balanceBiasRate" in made:
            made["hasBalanceBiasRate"] = True
    return spec


def camel(key):
    first, *rest = key.split("_")
    return first + "".join(word.capitalize() for word in rest)


def reward(name, keys):
    kinds = {bool: "truth", int: "number", float: "number", str: "text", list: "texts"}
    settings = [{"key": key, "value": {kinds[type(value)]: value}}
                for key, value in sorted(keys.items()) if key not in ("verifier", "weight")]
    return {"name": name, "verifier": keys["verifier"], "weight": keys.get("weight", 1.0),
            "settings": settings}
