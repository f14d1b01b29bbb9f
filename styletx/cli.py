"""`styletx ...`: every method from a shell, built from the methods' own signatures."""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from torch import Tensor

from . import __version__, images, samples
from .devices import describe_device, is_out_of_memory
from .folder import about, is_folder, one_line, paint_folder
from .methods import METHODS
from .methods.options import Choice, Number, Option, Picture, options, picture_options
from .methods.painters import NETWORKS
from .methods.record import RecordError, again, record
from .methods.smoothing import NotConverged
from .methods.stylize import ALL

STDIO = "-"
BAD_INPUT = 2  # exit status, as argparse itself has it
FILE_ERRORS = (ValueError, OSError, MemoryError, FloatingPointError, NotConverged)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; bad input gives one line on stderr and exit status 2."""
    for stream in (sys.stdout, sys.stderr):  # into a file or a pipe, Windows writes an encoding without β and →
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    parser = build_parser()
    given, extra = parser.parse_known_args(arguments)
    given.extra = extra
    if given.extra and given.command not in ("lab", "train"):
        parser.error(f"unrecognized arguments: {' '.join(given.extra)}")
    try:
        return given.run(given) or 0
    except KeyboardInterrupt:
        print("styletx: stopped", file=sys.stderr)
        return 130
    except (*FILE_ERRORS, RuntimeError) as error:
        if not isinstance(error, FILE_ERRORS) and not is_out_of_memory(error):
            raise
        print(f"styletx {given.command}: {one_line(error)}", file=sys.stderr)
        return BAD_INPUT


def build_parser() -> argparse.ArgumentParser:
    """The parser: a command for each method, then train, export, samples, again, demo, doctor and lab."""
    parser = argparse.ArgumentParser(prog="styletx", description="Neural style transfer, on any machine.")
    parser.add_argument("--version", action="version", version=f"styletx {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, method in METHODS.items():
        _add_method(commands, name, method)

    command = commands.add_parser(
        "train",
        help="train a network that paints in one style, or in several: styletx train --help",
        add_help=False,
    )
    command.set_defaults(run=_train)

    command = commands.add_parser("export", help="write a network as an ONNX file")
    command.add_argument("network", help=f"one of {', '.join(NETWORKS)}, or a network's file")
    command.add_argument("-o", "--output", required=True, help="the .onnx file")
    command.set_defaults(run=_export)

    command = commands.add_parser("samples", help="list the pictures known by name, with credit and licence")
    command.add_argument("name", nargs="?", help="show one of them")
    command.add_argument("-o", "--output", help="and write it to this file")
    command.set_defaults(run=_samples)

    command = commands.add_parser("again", help="make a saved picture again from what it carries")
    command.add_argument("picture", help="a PNG made by styletx")
    command.add_argument("-o", "--output", help="default: the picture's name with -again")
    command.add_argument("--device", default=None, help="cpu, cuda, mps (default: the best there is)")
    command.set_defaults(run=_again)

    command = commands.add_parser("demo", help="every method on a real photo, into one HTML page")
    command.add_argument("-o", "--output", default="demo.html", help="default: demo.html")
    command.add_argument("--size", type=int, default=384, help="longer side in pixels (default: 384)")
    command.add_argument("--device", default=None, help="cpu, cuda, mps (default: the best there is)")
    command.set_defaults(run=_demo)

    command = commands.add_parser("doctor", help="device, versions, memory, weights, and a short test of each method")
    command.add_argument("--device", default=None, help="cpu, cuda, mps (default: the best there is)")
    command.set_defaults(run=_doctor)

    command = commands.add_parser(
        "lab", help="open JupyterLab at the start page of the lectures; other options are its"
    )
    command.set_defaults(run=_lab)
    return parser


def _add_method(commands: Any, name: str, method: Any) -> None:
    command = commands.add_parser(name, help=method.__doc__.splitlines()[0].rstrip("."))
    for option in options(method):
        if isinstance(option.allowed, Picture):
            flag = option.name if option.required else "--" + option.name.replace("_", "-")
            many = option.allowed.many or name == "stylize"
            several = {"nargs": "+"} if many else {}
            command.add_argument(
                flag, help=f"{option.allowed.help} (a sample's name, a file, or - for stdin)", **several
            )
        else:
            _add_option(command, option)
    command.add_argument("-o", "--output", required=True,
        help="where the picture goes: .png carries how it was made; - is stdout")  # fmt: skip
    command.add_argument("--device", default=None, help="cpu, cuda, mps (default: the best there is)")
    command.add_argument("--json", action="store_true", help="say on stdout what was made, as JSON, a line for each")
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    command.set_defaults(run=_method)
    if name == "stylize":
        command.epilog = "Several photos, or a folder of them, are painted into the folder OUTPUT."
        command.add_argument("--sheet", action="store_true", help="the photo in every style there is, on one sheet")
        command.add_argument("--batch", type=int, default=4, help="photos of one size at once (default: 4)")


def _add_option(command: argparse.ArgumentParser, option: Option) -> None:
    flag, default = (
        "--" + option.name.replace("_", "-"),
        "" if option.default is None else f" (default: {option.default})",
    )
    if isinstance(option.allowed, Number) and option.allowed.many:
        command.add_argument(flag, type=float, nargs="+", default=option.default, metavar="N", help=option.allowed.help)
    elif isinstance(option.allowed, Number):
        # float, then checked by the method itself: one place decides what is right, and says so
        command.add_argument(flag, type=float, default=option.default, metavar="N", help=option.allowed.help + default)
    elif isinstance(option.allowed, Choice):
        values = ", ".join(str(v) for v in option.allowed.values if v is not None)
        kind = option.kind if option.kind in (int, float) else str
        command.add_argument(flag, type=kind, default=option.default, help=f"{option.allowed.help}: {values}{default}")


def _values(method: Any, given: argparse.Namespace) -> dict[str, Any]:
    pictures = picture_options(method)
    values = {o.name: getattr(given, o.name) for o in options(method) if o.name not in pictures}
    for option in options(method):
        value = values.get(option.name)
        if option.kind is int and isinstance(value, float) and value.is_integer():
            values[option.name] = int(value)
    return values


def _method(given: argparse.Namespace) -> int:
    method = METHODS[given.command]
    if given.command == "stylize":
        if given.sheet:
            given.style = ALL
        output = Path(given.output).expanduser()
        one = given.output == STDIO or (output.suffix and not output.is_dir())
        if len(given.content) > 1 or is_folder(given.content[0]) or not one:
            return 0 if paint_folder(given, _values(method, given)) else BAD_INPUT
    pictures = {name: getattr(given, name) for name in picture_options(method)}
    pictures = {
        name: value[0] if isinstance(value, list) and len(value) == 1 else value
        for name, value in pictures.items()
        if value is not None
    }
    values = _values(method, given)
    return _make(given.command, pictures, values, given.output, given.device, not given.quiet, given.json)


def _make(
    name: str,
    pictures: dict,
    values: dict,
    where_to: str | Path,
    device: str | None,
    progress: bool = True,
    as_json: bool = False,
) -> int:
    inputs = [source for given in pictures.values() for source in (given if isinstance(given, list) else [given])]
    if where_to == STDIO:
        if as_json:
            raise ValueError("json: the picture itself goes to stdout; name a file as output")
    else:
        output = images.check_writable(where_to)
        used = [*inputs, *(value for value in values.values() if isinstance(value, str))]
        files = [os.path.expanduser(source) for source in used if source not in samples.names()]
        if any(output.exists() and os.path.isfile(path) and output.samefile(path) for path in files):
            raise ValueError(f"{output}: would overwrite a picture it is made from; choose another name")
    if STDIO in inputs:
        if inputs.count(STDIO) > 1:
            raise ValueError("-: only one picture can come from stdin")
        read = sys.stdin.buffer.read()
        pictures = {
            key: [read if one == STDIO else one for one in given] if isinstance(given, list) else
            (read if given == STDIO else given) for key, given in pictures.items()
        }  # fmt: skip
    carried = record(name, pictures, values)
    where = describe_device(device)  # an unknown one is refused before the work
    begun = time.monotonic()
    made = METHODS[name](**pictures, **values, device=device)
    if progress:
        print(f"{name} on {where}", file=sys.stderr)
    image = made if isinstance(made, Tensor) else made.finish(progress=progress)
    if not isinstance(made, Tensor) and made.stopped:
        carried["stopped"] = made.evaluations
        said = f"{where_to}: the best picture after {made.evaluations} of {made.total} evaluations"
        print(said, file=sys.stderr)
    if where_to == STDIO:
        sys.stdout.buffer.write(images.to_png(image, carried))
        return 0
    images.write(image, output, record=carried)
    seconds = {"seconds": round(time.monotonic() - begun, 3), "device": where}
    print(json.dumps(about(output, image) | seconds | carried) if as_json else output)
    return 0


def _again(given: argparse.Namespace) -> int:
    name, pictures, values = again(given.picture)
    path = Path(given.picture)
    output = given.output or path.with_name(f"{path.stem}-again{path.suffix}")
    if Path(output).resolve() == path.resolve():
        raise RecordError(f"{output}: would overwrite the picture that it repeats")
    stopped = images.read_record(path).get("stopped")
    if stopped is not None:
        print(f"{path}: its run was stopped after {stopped} evaluations; this one goes to its end", file=sys.stderr)
    return _make(name, pictures, values, output, given.device)


def _train(given: argparse.Namespace) -> int:
    from .recipes.transform import main as train

    return train(given.extra, name="styletx train")


def _export(given: argparse.Namespace) -> int:
    from .methods.painters import network_file
    from .networks.export import export_onnx
    from .networks.files import load_network

    output = Path(given.output).expanduser()
    images.check_place(output)
    print(export_onnx(load_network(network_file(given.network), "cpu"), output))
    return 0


def _samples(given: argparse.Namespace) -> int:
    if given.output and not given.name:
        raise ValueError("output: name the picture to write")
    if given.name:
        sample = samples.info(given.name)
        print(f"{sample.name} ({sample.kind}): {sample.credit}; {sample.licence}; {sample.source}")
        if given.output:
            images.write(samples.load(given.name), given.output)
            print(given.output)
        return 0
    here = set(samples.names(available=True))
    for kind in ("photo", "painting", "texture", "style"):
        print(f"\n{kind}s")
        for name in samples.names(kind):
            sample, note = samples.info(name), "" if name in here else "  (would be fetched)"
            print(f"  {name:<32}{sample.credit}; {sample.licence}{note}")
    return 0


def _demo(given: argparse.Namespace) -> int:
    from .course.demo import write_demo

    print(write_demo(given.output, size=given.size, device=given.device))
    return 0


def _doctor(given: argparse.Namespace) -> int:
    from .course.doctor import examine

    return 0 if examine(device=given.device) else 1


def _lab(given: argparse.Namespace) -> int:
    from .course.lectures import folder

    start = folder() / "00_start_here.ipynb"
    root = start.parents[1]
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={root}"]
    command += [f"--LabApp.default_url=/lab/tree/{start.relative_to(root).as_posix()}", *given.extra]
    interrupts, server = 0, subprocess.Popen(command, cwd=root)
    while True:
        try:
            return server.wait()
        except KeyboardInterrupt:  # JupyterLab got it too, asks whether it shall end, and ends its kernels first
            interrupts += 1
            if interrupts > 2:  # or it has not: only this process was told
                server.terminate()


if __name__ == "__main__":
    sys.exit(main())
