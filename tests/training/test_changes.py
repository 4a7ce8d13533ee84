"""What is said to have changed since a checkpoint."""

from i2i.training.changes import changed


def told(torch="2.11.0", **config):
    return {"config": config, "i2i": "1.0", "python": "3.11.7", "torch": torch}


def test_nothing_has_changed():
    config = {"seed": 0, "trainer": {"lr": 0.1, "guard": {"rate": 0.5}}}
    assert changed(told(**config), told(**config)) == []


def test_keys_are_named_with_both_values():
    before = told(
        seed=0, trainer={"lr": 0.1, "precision": "auto", "betas": [0.5, 0.9]}, data={"flip": True, "scale": None}
    )
    now = told(
        seed=1, trainer={"lr": 0.2, "precision": "float32", "betas": [0.5, 0.99]}, data={"flip": False, "scale": 2}
    )
    assert changed(before, now) == [
        "seed: 0, now 1",
        "trainer.lr: 0.1, now 0.2",
        "trainer.precision: auto, now float32",
        "trainer.betas: [0.5, 0.9], now [0.5, 0.99]",
        "data.flip: true, now false",
        "data.scale: null, now 2",
    ]


def test_what_changes_no_weight_is_not_said():
    before = told(device="cpu", data={"workers": 1, "cache": 0.0, "source": "a"}, trainer={"keep": 2, "log_every": 1})
    now = told(device="cuda", data={"workers": 2, "cache": 0.5, "source": "b"}, trainer={"keep": 3, "log_every": 2})
    assert changed(before, now) == []


def test_keys_and_versions_that_only_one_knows_are_not_compared():
    assert changed({"torch": "2.11.0"}, told(seed=1)) == []
    assert changed(told(trainer={"old": 1}), told(trainer={"new": 1})) == []


def test_another_machine_need_not_give_the_same_bits():
    cpu = {"device": "cpu", "precision": "bfloat16", "processes": 1, "threads": 2}
    before = {**told(), "machine": cpu}
    assert changed(before, before) == []
    more = " which need not give the same bit for bit"
    assert changed(before, {**told(), "machine": {**cpu, "precision": "float32", "threads": 4}}) == [
        f"precision: bfloat16, now float32,{more}",
        f"threads: 2, now 4,{more}",
    ]
    gpu = {"device": "NVIDIA H100", "precision": "bfloat16", "processes": 2}
    assert changed(before, {**told(), "machine": gpu}) == [
        f"device: cpu, now NVIDIA H100,{more}",
        f"processes: 1, now 2,{more}",
    ]


def test_another_version_need_not_give_the_same_bits():
    assert changed(told(torch="2.11.0"), told(torch="2.15.0")) == [
        "torch: 2.11.0, now 2.15.0, which need not give the same bit for bit"
    ]
