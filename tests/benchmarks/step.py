"""What a step costs beside pystiche: one evaluation of Gatys' objective with its gradient, and a run."""

import torch

from styletx import load_encoder

from . import peer
from .measure import interleave, ratio, summary

NETWORKS = ("vgg19", "mini")
RUN_SIZES = {"vgg19": 256, "mini": 512}  # a whole run is timed at one size
RUN_STEPS = 20


def run(device: torch.device, quick: bool = False) -> dict:
    """Every network and size: do both agree, and what does each take; or why it was skipped."""
    try:
        peer.import_pystiche()
    except ImportError as error:
        return {"skipped": f"pystiche is not importable ({error})"}
    sizes = (64,) if quick else (256, 512)
    evaluations = [evaluation(network, size, device, quick) for network in NETWORKS for size in sizes]
    runs = [whole_run(n, 64 if quick else RUN_SIZES[n], device, quick) for n in NETWORKS]
    return {"evaluations": evaluations, "runs": runs}


def evaluation(network: str, size: int, device: torch.device, quick: bool) -> dict:
    """One row: the agreement, the seconds of an evaluation, our ratios to pystiche both ways."""
    encoder = load_encoder(network, weights="random", device=device)
    given = peer.pictures(size, device)
    cases = {
        "styletx": peer.our_evaluation(encoder, *given),
        "pystiche": peer.their_evaluation(peer.their_encoder(encoder), *given),
        "pystiche, in place": peer.their_evaluation(peer.their_encoder(encoder, in_place=True), *given),
    }
    agrees = peer.check_agreement(peer.agreement(cases["styletx"], cases["pystiche"]))
    rounds = 3 if quick else 12 if network == "vgg19" else 40
    seconds = interleave(cases, rounds, 1 if quick else 3, device)
    return {
        "network": network,
        "size": size,
        "agreement": agrees,
        "seconds": {name: summary(values) for name, values in seconds.items()},
        "ratios": {n: ratio(seconds["styletx"], seconds[n]) for n in cases if n != "styletx"},
    }


def whole_run(network: str, size: int, device: torch.device, quick: bool) -> dict:
    """One row: seconds of a run of as many evaluations in each one's own loop, targets included."""
    encoder = load_encoder(network, weights="random", device=device)
    theirs, given = peer.their_encoder(encoder), peer.pictures(size, device)
    steps = 4 if quick else RUN_STEPS
    cases = {
        "styletx": lambda: peer.our_run(encoder, *given, steps),
        "pystiche": lambda: peer.their_run(theirs, *given, steps),
    }
    seconds = interleave(cases, 2 if quick else 5, 0 if quick else 1, device)
    return {
        "network": network,
        "size": size,
        "steps": steps,
        "seconds": {name: summary(values) for name, values in seconds.items()},
        "ratios": {"pystiche": ratio(seconds["styletx"], seconds["pystiche"])},
    }
