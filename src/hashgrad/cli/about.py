"""`hashgrad info` and `hashgrad doctor`: what a model file holds, and what this machine can do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from hashgrad import __version__, _core, calibration, files
from hashgrad.defaults import default
from hashgrad.memory import available_memory_bytes, in_words, needed, total_memory_bytes

from .loading import WEIGHTING
from .machine import (
    cached,
    costs_in_words,
    data_folder,
    pools_in_words,
    thread_pools,
    versions,
)
from .options import MODEL
from .output import check_writable, console, table, write_json
from .reading import FIRST_INDEX
from .results import epochs_done, quality

Json = Annotated[str | None, typer.Option(help="Write the answer as JSON; - is stdout.")]


def info(
    model: Annotated[str, MODEL],
    json: Json = None,
) -> None:
    """Show what a model file holds; its weights are not read."""
    check_writable("--json", json, model)
    header = files.read_header(model)
    metadata = header.metadata
    specification, extra = metadata["specification"], metadata["extra"]
    history, retired = metadata["history"], metadata["retired"]
    parameters = sum(
        (n_in + 1) * layer.n
        for n_in, layer in zip(
            [header.arguments["n_inputs"], *(layer.n for layer in header.arguments["layers"])],
            header.arguments["layers"],
            strict=False,
        )
    )
    made = header.arguments
    memory = needed(
        made["n_inputs"],
        made["layers"],
        made["optimizer"],
        batch_size=made["batch_size"],
        arrangement=metadata["arrangement"],
    )
    result: dict[str, Any] = {
        "path": model,
        "bytes": Path(model).stat().st_size,
        "format": metadata["format"],
        "written_by": metadata["version"],
        "parameters": parameters,
        "memory": memory.to_dict(),
        "epochs": metadata["training"]["epochs"],
        "specification": specification,
        "arrangement": metadata["arrangement"],
        "extra": extra,
        "retired": retired,
        "history": history,
        "tensors": {
            name: {"dtype": str(stored.dtype), "shape": list(stored.shape)}
            for name, stored in header.tensors.items()
        },
    }
    people = console(json)
    last = history[-1] if history else {}
    people.print(
        table(
            ("file", f"{model} ({in_words(result['bytes'])}, format {metadata['format']})"),
            ("written by", f"hashgrad {metadata['version']}"),
            ("data", _data(extra)),
            ("parameters", f"{parameters:,}"),
            ("memory", str(memory)),
            ("inputs", f"{specification['n_inputs']:,}"),
            *(
                (f"layer {number}", f"{_layer(layer)}; {_way(way)}")
                for number, (layer, way) in enumerate(
                    zip(specification["layers"], metadata["arrangement"], strict=True), start=1
                )
            ),
            ("loss", specification["loss"]),
            ("optimizer", _settings(specification["optimizer"])),
            ("schedule", _settings(specification["schedule"])),
            ("batch size", str(specification["batch_size"])),
            *((("retired labels", f"{len(retired):,}"),) if retired else ()),
            ("prior", "labels' frequencies" if specification["prior"] else "none"),
            ("weighting", _weighting(extra)),
            *([("first index", str(extra[FIRST_INDEX]))] if FIRST_INDEX in extra else []),
            ("seed", str(specification["seed"])),
            ("trained", epochs_done(result["epochs"])),
            ("last epoch", quality(last) or "-"),
        )
    )
    write_json(json, result)


def _weighting(extra: dict[str, Any]) -> str:
    kept = extra.get(WEIGHTING)
    return str(kept.get("name")) if isinstance(kept, dict) else "none: rows as they are"


def _data(extra: dict[str, Any]) -> str:
    return f"{extra['data']} ({extra['task']})" if {"data", "task"} <= set(extra) else "-"


def _layer(layer: dict[str, Any]) -> str:
    dtype = layer.get("dtype", default("dtype"))  # which files of earlier versions lack
    kept = "" if dtype == default("dtype") else f", weights in {dtype}"
    if layer.get("init_std") is not None:
        kept += f", first weights of standard deviation {layer['init_std']:g}"
    return f"{layer['n']:,} {layer['activation']}, {_settings(layer['active'])}{kept}"


def _way(way: dict[str, str]) -> str:
    how = "all evaluated" if way["lookup"] == "exact" else f"{way['lookup']} of {way['code']}"
    return f"weights by {way['layout']}, {how}"


def _settings(part: dict[str, Any]) -> str:
    words = [f"{key}={value}" for key, value in part.items() if key != "name"]
    return f"{part['name']} ({', '.join(words)})" if words else str(part["name"])


def doctor(
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Measure the kernels' costs anew, and keep them.")
    ] = False,
    json: Json = None,
) -> None:
    """Show what this machine offers: instruction sets, threads, costs, memory, versions, data.

    The costs are what `layout`, `lookup` and `code` are chosen by where they are `auto`. A file
    made by --json can stand in for them: HASHGRAD_CALIBRATION names it.
    """
    check_writable("--json", json)
    costs = calibration.measure() if calibrate else calibration.machine()
    forced = os.environ.get("HASHGRAD_SIMD")
    folder, cache = data_folder(), cached()
    found, pools = versions(), thread_pools()
    result: dict[str, Any] = {
        "version": __version__,
        "simd": _core.simd_level(),
        "simd_levels": list(_core.simd_levels()),
        "simd_forced": forced,
        "bfloat16": _core.has_bfloat16(),
        "threads": _core.hardware_threads(),
        "processor": calibration.processor(),
        "thread_pools": pools,
        "calibration": costs.costs,
        "calibration_source": costs.source,
        "memory_bytes": total_memory_bytes(),
        "memory_available_bytes": available_memory_bytes(),
        "versions": found,
        "data": folder,
        "cache": cache,
    }
    if folder["path"] is None:
        data = "HASHGRAD_DATA is not set: named sets come from the cache, or are downloaded"
    elif folder["sets"] is None:
        data = f"{folder['path']} (HASHGRAD_DATA) cannot be read"
    else:
        data = f"{folder['path']}: {', '.join(folder['sets']) or 'no set with a name'}"
    level = result["simd"] + (" with bfloat16" if result["bfloat16"] else "")
    people = console(json)
    people.print(
        table(
            ("hashgrad", __version__),
            ("instructions", f"{level}, of {', '.join(result['simd_levels'])}"),
            ("HASHGRAD_SIMD", forced or "not set: the best level is taken"),
            ("processor", result["processor"]),
            ("threads", str(result["threads"])),
            ("other pools", pools_in_words(pools)),
            ("costs, ns", f"{costs.source}\n{costs_in_words(costs)}"),
            (
                "memory",
                f"{in_words(result['memory_bytes'])}, "
                f"{in_words(result['memory_available_bytes'])} available",
            ),
            *found.items(),
            ("data", data),
            ("cache", f"{cache['path']}: {', '.join(cache['sets'] or []) or 'nothing yet'}"),
        )
    )
    write_json(json, result)
