"""`hashgrad train`: train a network, show what it costs, save it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

import hashgrad
from hashgrad import Network, _core, fit_stream
from hashgrad.callbacks import Callback
from hashgrad.checks import one_of
from hashgrad.datasets import Dataset, Weighting
from hashgrad.datasets.weighting import WEIGHTINGS
from hashgrad.defaults import check, default
from hashgrad.optimizers import OPTIMIZERS
from hashgrad.progress import default_progress
from hashgrad.schedules import SCHEDULES

from . import options
from .loading import LOSSES, TASKS, WEIGHTING, losses_of, widened
from .machine import crowding
from .options import DATA, FILES, HASHING, NETWORK, SELECTION, TRAINING, flag, given, member, option
from .output import check_replaceable, check_writable, console, write_json
from .reading import Reading
from .results import shape, summary, training_result
from .saving import save
from .source import Source, StreamedData
from .watchers import watchers

# What a model file settles for good; with --resume these options have nothing left to set.
SETTLED = (
    "hidden", "activation", "loss", "task", "weighting", "selector", "fraction", "optimizer",
    "rate", "momentum", "state", "lazy", "schedule", "warmup", "every", "factor", "floor", "l2",
    "known", "prior", "batch_size", "seed", "alpha", "beta",
    "bits", "tables", "family", "code_bits", "projection", "rank", "transform", "center", "lookup",
    "code", "probes", "ranking", "candidates", "rehash", "rehash_every", "rebuild_every", "pooled",
    "bucket", "policy", "fill", "query_every", "precision", "correction", "dtype", "init_std",
)  # fmt: skip


def train(
    context: typer.Context,
    data: Annotated[str, DATA],
    test: Annotated[
        str | None,
        typer.Option(
            help="A file with test rows, or the share (0.2) of DATA's rows to hold out.",
            metavar="FILE|SHARE",
            rich_help_panel=FILES,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="Save the model to this file; the resumed one by default.",
            rich_help_panel=FILES,
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            help="Go on with the model in this file, and save it there unless --output says "
            "otherwise; times are of this run alone.",
            rich_help_panel=FILES,
        ),
    ] = None,
    add_labels: Annotated[
        bool,
        typer.Option(
            "--add-labels",
            help="With --resume, add the labels that DATA have and the model lacks.",
            rich_help_panel=FILES,
        ),
    ] = False,
    json: Annotated[
        str | None,
        typer.Option(
            help="Write the results as JSON; - is stdout. With --resume, seconds are null for the "
            "epochs up to resumed_from_epoch.",
            rich_help_panel=FILES,
        ),
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(
            help="Write each epoch's numbers as a row (.csv), or its whole record as a line "
            "(.jsonl); with --resume, go on with the file.",
            metavar="FILE",
            rich_help_panel=FILES,
        ),
    ] = None,
    tensorboard: Annotated[
        str | None,
        typer.Option(
            help="Write each epoch's numbers for TensorBoard into this folder.",
            metavar="DIR",
            rich_help_panel=FILES,
        ),
    ] = None,
    first_index: Annotated[int | None, options.FIRST_INDEX] = None,
    columns: Annotated[str | None, options.COLUMNS] = None,
    bad_rows: Annotated[str, options.BAD_ROWS] = "refuse",
    stream: Annotated[
        bool,
        typer.Option(
            "--stream",
            help="Read a file of many labels anew for each epoch, a part of it in memory at a "
            "time, shuffled; --test, a file, is read whole. A compressed file is shuffled within "
            "each part only.",
            rich_help_panel=FILES,
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing.", rich_help_panel=FILES)
    ] = False,
    hidden: Annotated[
        str | None,
        typer.Option(
            help="Neurons of each hidden layer.",
            show_default=options.HIDDEN,
            metavar="N,N,...",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    activation: Annotated[str | None, option("activation", NETWORK, default="relu")] = None,
    init_std: Annotated[
        float | None,
        option(
            "init_std",
            NETWORK,
            more="Of the first layer.",
            default="by its size; N**-0.5 with --task multilabel and --weighting",
        ),
    ] = None,
    loss: Annotated[str | None, option("loss", NETWORK, default="what the data ask for")] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="What the targets mean; read off the data by default. multilabel also chooses "
            "outputs instead of hidden neurons, with settings of its own: "
            + options.preset_words(),
            metavar="[classification|multilabel|regression]",
            show_default=False,
            rich_help_panel=NETWORK,
        ),
    ] = None,
    weighting: Annotated[
        str | None,
        typer.Option(
            help="Weigh counts, and scale rows to length 1; kept with the model.",
            metavar="[tfidf|log|none]",
            show_default="rows as they are",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    selector: Annotated[str | None, option("active", SELECTION, default=options.SELECTOR)] = None,
    fraction: Annotated[
        str | None,
        option(
            "fraction",
            SELECTION,
            more="One for all hidden layers, or one each; one more applies to the output layer.",
            words="SHARE,...",
        ),
    ] = None,
    alpha: Annotated[float | None, option("alpha", SELECTION)] = None,
    beta: Annotated[float | None, option("beta", SELECTION)] = None,
    epochs: Annotated[int | None, option("epochs", TRAINING)] = None,
    batch_size: Annotated[int | None, option("batch_size", TRAINING)] = None,
    optimizer: Annotated[str | None, option("optimizer", TRAINING)] = None,
    rate: Annotated[
        float | None, option("rate", TRAINING, default=options.learning_rates())
    ] = None,
    momentum: Annotated[float | None, option("momentum", TRAINING)] = None,
    state: Annotated[str | None, option("state", TRAINING)] = None,
    lazy: Annotated[bool | None, option("lazy", TRAINING)] = None,
    schedule: Annotated[str | None, option("schedule", TRAINING)] = None,
    warmup: Annotated[float | None, option("warmup", TRAINING)] = None,
    every: Annotated[float | None, option("every", TRAINING)] = None,
    factor: Annotated[float | None, option("factor", TRAINING)] = None,
    floor: Annotated[float | None, option("floor", TRAINING)] = None,
    l2: Annotated[float | None, option("l2", TRAINING)] = None,
    known: Annotated[float | None, option("known", TRAINING)] = None,
    prior: Annotated[bool | None, option("prior", TRAINING)] = None,
    validation: Annotated[float | None, option("validation", TRAINING)] = None,
    early_stopping: Annotated[int | None, option("early_stopping", TRAINING)] = None,
    class_weight: Annotated[
        str | None,
        typer.Option(
            help="Weigh classes against their frequency.",
            metavar="balanced",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    threads: Annotated[int, option("threads", TRAINING)] = default("threads"),
    seed: Annotated[int | None, option("seed", TRAINING)] = None,
    bits: Annotated[int | None, option("bits", HASHING)] = None,
    tables: Annotated[int | None, option("tables", HASHING)] = None,
    family: Annotated[str | None, option("family", HASHING)] = None,
    code_bits: Annotated[int | None, option("code_bits", HASHING)] = None,
    projection: Annotated[str | None, option("projection", HASHING)] = None,
    rank: Annotated[int | None, option("rank", HASHING)] = None,
    transform: Annotated[str | None, option("transform", HASHING)] = None,
    center: Annotated[bool | None, option("center", HASHING)] = None,
    lookup: Annotated[str | None, option("lookup", HASHING)] = None,
    code: Annotated[str | None, option("code", HASHING)] = None,
    probes: Annotated[int | None, option("probes", HASHING)] = None,
    ranking: Annotated[str | None, option("ranking", HASHING)] = None,
    candidates: Annotated[float | None, option("candidates", HASHING)] = None,
    rehash: Annotated[str | None, option("rehash", HASHING)] = None,
    rehash_every: Annotated[int | None, option("rehash_every", HASHING)] = None,
    rebuild_every: Annotated[int | None, option("rebuild_every", HASHING)] = None,
    pooled: Annotated[
        bool | None,
        option("pooled", HASHING, more="Needs --task multilabel, or a share for it in --active."),
    ] = None,
    bucket: Annotated[int | None, option("bucket", HASHING)] = None,
    policy: Annotated[str | None, option("policy", HASHING)] = None,
    fill: Annotated[int | None, option("fill", HASHING)] = None,
    query_every: Annotated[int | None, option("query_every", HASHING)] = None,
    precision: Annotated[str | None, option("precision", HASHING)] = None,
    correction: Annotated[str | None, option("correction", HASHING)] = None,
    dtype: Annotated[str | None, option("dtype", HASHING)] = None,
) -> None:
    """Train a network on a data set, and show its accuracy and what it cost.

    Ctrl-C ends training early; with --output or --resume, what was learned is saved.
    """
    params = context.params
    check_writable("--output", output, data, test)
    check_replaceable("--output", output)
    if output is None:
        output = resume
        check_writable("--resume", output, data, test)
    check_writable("--json", json, data, test, resume, output)
    check_writable("--log", log, data, test, resume, output, json)
    callbacks = watchers(log, tensorboard)
    people = console(json, quiet)
    fitting = _fitting(params)
    n_threads = check("threads", threads, argument="--threads")
    reading = Reading.told(first_index, columns, bad_rows)
    source = Source(data, test, reading, stream, weighting)
    before = None
    if resume is not None:
        _refuse_settled(params)
        before = hashgrad.load(resume, threads=n_threads)
        fitting = {**before.extra.get("fit", {}), **fitting}
    if stream:
        _refuse_unstreamed(fitting)
    if before is None:
        if add_labels:
            raise ValueError("--add-labels needs --resume, the model to add them to, got none")
        plan = _Plan(params)
        dataset, weights = source.rows(plan.task, plan.settings.get("seed", default("seed")))
        network = plan.network(dataset, n_threads)
    else:
        dataset, weights = source.rows(None, before.seed, before, growing=add_labels)
        network = before
    reading.tell(quiet)
    fitting.setdefault("epochs", default("epochs"))
    if network.epochs >= fitting["epochs"]:
        raise ValueError(
            f"--epochs must be above the {network.epochs} that the model has behind it "
            f"(they count from its birth), got {fitting['epochs']}"
        )
    if dataset.n_outputs > network.n_outputs:
        added = network.add_labels(dataset.n_outputs - network.n_outputs)
        people.print(f"labels {added[0]} to {added[-1]} added")
    network.extra = _notes(dataset, fitting, weights) | reading.notes(dataset, before)
    people.print(f"{dataset!r}\n{shape(network)}\nmemory {network.memory()}")
    resumed_from = None if resume is None else network.epochs
    examples_before = network.report().to_dict()["examples"]
    wall, processors = time.perf_counter(), time.process_time()
    _fit(network, dataset, fitting, callbacks, quiet)
    crowded = crowding(
        n_threads or _core.hardware_threads(),
        time.perf_counter() - wall,
        time.process_time() - processors,
    )

    place, trouble = (None, None) if output is None else save(network, output)
    result = training_result(network, dataset, context.obj, resumed_from, examples_before)
    result["data"]["skipped_rows"] = reading.judge.count
    write_json(json, result)
    people.print(summary(result))
    if crowded:
        people.print(crowded)
    if place is not None:
        people.print(f"model saved to {place}")
    if trouble is not None:
        raise OSError(f"{trouble}; the model is in {place}")
    if network.interrupted:
        kept = f"the model, in {place}" if place else "nothing: there was no --output"
        people.print(f"interrupted in epoch {network.epochs + 1}; kept {kept}")
        raise typer.Exit(130)


class _Plan:
    """The network that the options ask for, checked before any data are read."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        if params["task"] not in (None, *LOSSES):
            raise one_of("--task", params["task"], list(LOSSES))
        if params["weighting"] is not None and params["weighting"] not in WEIGHTINGS:
            raise one_of("--weighting", params["weighting"], WEIGHTINGS)
        loss = given(params, "loss").get("loss")
        self.task = params["task"] or TASKS.get(loss or "")
        self.loss = loss or LOSSES.get(self.task or "")
        if self.loss and self.task and self.loss not in losses_of(self.task):
            allowed = " or ".join(losses_of(self.task))
            raise ValueError(f"--loss must be {allowed} with --task {self.task}, got {loss!r}")
        self.params = params
        names = ("l2", "known", "prior", "batch_size", "seed")
        presets = {name: options.preset(params, name) for name in names}
        self.settings = {
            **{name: value for name, value in presets.items() if value is not None},
            **given(params, *names),
        }
        stepping = given(params, "rate", "momentum", "state", "lazy")
        known = params["known"] is not None  # where examples rest, not every update steps
        for name in ("rate",) if known else ("rate", "lazy"):
            if params["optimizer"] is None and options.preset(params, name) is not None:
                stepping.setdefault(name, options.preset(params, name))
        self.settings["optimizer"] = member(
            OPTIMIZERS,
            "--optimizer",
            options.chosen(params, "optimizer", default("optimizer")),
            stepping,
        )
        self.settings["schedule"] = member(
            SCHEDULES,
            "--schedule",
            options.chosen(params, "schedule", default("schedule")),
            given(params, "warmup", "every", "factor", "floor"),
        )
        options.layers(params, n_outputs=1)

    def network(self, data: Dataset | StreamedData, threads: int) -> Network:
        """The network for these data."""
        if data.n_outputs == 0:
            raise ValueError(f"{data.name} must have labels, got none in any row")
        return Network(
            data.n_features,
            options.layers(self.params, data.n_outputs),
            loss=self.loss or LOSSES[data.task],
            threads=threads,
            **self.settings,
        )


def _fitting(params: Mapping[str, Any]) -> dict[str, Any]:
    """What the options say about fitting; files remember it, so that --resume can go on."""
    fitting = given(params, "epochs", "validation", "early_stopping")
    if params["class_weight"] is not None:
        if params["class_weight"] != "balanced":
            raise one_of("--class-weight", params["class_weight"], ["balanced"])
        fitting["class_weight"] = "balanced"
    if fitting.get("early_stopping") and params["validation"] is None and not params["resume"]:
        raise ValueError(
            f"--early-stopping {fitting['early_stopping']} needs --validation: the test rows "
            "must not decide when to stop, got none"
        )
    return fitting


def _refuse_settled(params: Mapping[str, Any]) -> None:
    for name in SETTLED:
        if params[name] is not None:
            raise ValueError(
                f"{flag(name)} has no effect with --resume: the model file settles it, "
                f"got {params[name]!r}"
            )


def _refuse_unstreamed(fitting: Mapping[str, Any]) -> None:
    for name in ("validation", "early_stopping", "class_weight"):
        if fitting.get(name):
            raise ValueError(f"{flag(name)} has no effect with --stream, got {fitting[name]!r}")


def _notes(
    data: Dataset | StreamedData, fitting: Mapping[str, Any], weights: Weighting | None
) -> dict[str, Any]:
    """What the model file should know of its data, beside what the network itself says."""
    classes = None if data.classes is None else data.classes.tolist()
    notes = {"data": data.name, "task": data.task, "classes": classes, "fit": dict(fitting)}
    return notes if weights is None else {**notes, WEIGHTING: weights.to_dict()}


def _fit(
    network: Network,
    data: Dataset | StreamedData,
    fitting: Mapping[str, Any],
    callbacks: list[Callback],
    quiet: bool,
) -> None:
    validation = fitting.get("validation")
    if validation is None and data.x_test is not None:
        validation = (data.x_test, widened(network, data.y_test))
    watched: dict[str, Any] = {
        "callbacks": callbacks,
        "progress": False if quiet else default_progress(),
    }
    if isinstance(data, StreamedData):
        epochs = fitting["epochs"]
        fit_stream(network, data.stream, epochs=epochs, validation=validation, **watched)
        return
    network.fit(
        data.x_train,
        widened(network, data.y_train),
        epochs=fitting["epochs"],
        validation=validation,
        early_stopping=fitting.get("early_stopping", default("early_stopping")),
        class_weight=fitting.get("class_weight"),
        **watched,
    )
