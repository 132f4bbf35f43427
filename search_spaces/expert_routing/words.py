"""How reports speak of routing: which experts, against the static model."""

from __future__ import annotations

from nas_fusion.words import Words

_SWITCHES = ("noise", "stage1", "stage2", "contrastive", "distillation", "disentanglement", "balance")

WORDS = Words(
    title="Which experts",
    question="Does routing pay?",
    parameter="routing option",
    parameters="routing options",
    active="routing options that are on",
    chosen="Chosen routing",
    choice="mixture",
    choices="choices",
    none="static",
    names_choices=True,
    short={
        "granularity=subject": "subject",
        "granularity=node": "node",
        "normalise=before": "gates before",
        "normalise=after": "gates after",
        "router=shared": "one router",
        "router=per_branch": "own routers",
        "init=copy_noise": "copies+noise",
        "init=copy": "copies",
        "stage3_trainable=fusion_only": "fusion only",
        "stage3_trainable=all": "all trained",
        "expert=mlp": "mlp",
        "expert=linear": "linear",
        **{f"{name}=off": f"no {name}" for name in _SWITCHES},
        **{f"{name}=on": name for name in _SWITCHES},
    },
    baseline="the static model",
    baseline_title="A_0: static, one expert in every layer",
    baseline_is="which has one expert in every layer",
    baseline_fuses=True,
    pays="Routing pays",
    brings_nothing="Keep the static model, routing brings nothing here",
    unproven="Routing is not proven here",
    whether="whether routing pays cannot be said",
    keep="Nothing is lost by keeping the simpler model.",
    baseline_causes=(
        "one expert a layer expresses already what the label depends on",
        "there are no kinds of subjects or regions that need experts of their own",
        "the experts stayed alike, or one of them took all tokens: see what is said of routing",
    ),
    chance_causes=(
        "training again with another seed changes a loss by as much",
        "too few validation subjects to see a small effect",
    ),
    late_fusion_causes=(
        "there is no useful interaction between the modalities",
        "joint training lets one encoder learn and the others rest",
        "the joint network is larger and overfits",
    ),
    curves="Only the last of the stages is drawn: the stages before explain why curves begin low.",
    noise_cause="the projections that modalities share pass the noise of one on to the others",
    folds_cause="the best routing differs between subgroups and does not generalise",
    local_cause="some options are worth little alone and much together (granularity does nothing without a mixture), so no "
    "single step leads there",
    not_compared=("single modalities", "logistic regression", "late fusion", "a dense mixture"),
    wider=(("--set", "scope=full"),),
    wider_is_huge=True,
    other=(("--folds", "5"),),
    certainty=(("--seeds", "3"),),
    enough_subjects=512,
)
