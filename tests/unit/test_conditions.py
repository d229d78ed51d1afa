"""The machine while something is measured: facts, what others took, the reference workload, when a run is disturbed."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeport.benchmarks.measure.machine import sensors
from edgeport.benchmarks.measure.machine.conditions import Snapshot, condition, disturbances, snapshot
from edgeport.benchmarks.measure.machine.host import host_facts, usable_cores
from edgeport.benchmarks.measure.machine.reference_workload import reference_workload
from edgeport.benchmarks.report.raw.record import Condition

CALM = Condition(2.0, 0.02, 0.0, 41_000, 2400.0, 55.0, 0)
TICK = os.sysconf("SC_CLK_TCK")


def machine(root: Path, files: dict[str, str]) -> Path:
    """Write what /proc and /sys would say."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def firmware(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Put a vcgencmd on the path, alone."""
    folder.mkdir()
    program = folder / "vcgencmd"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def proc_stat(core: int, *fields: int) -> str:
    return f"cpu  9 9 9 9 9 9 9 9 9 9\ncpu{core} {' '.join(map(str, fields))}\ncpu99999 7 7 7 7 7 7 7 7 0 0\nintr 1 2\n"


def test_host_facts_are_of_this_machine_and_fit_into_json() -> None:
    facts = host_facts()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["cpu_model"]
    assert facts["cores"] >= len(facts["usable_cores"]) >= 1
    assert facts["ram_bytes"] > 1 << 28
    assert np.isfinite(facts["load_1min"])
    assert facts["numpy"] == np.__version__
    assert isinstance(facts["hypervisor"], bool)


def test_host_facts_tell_what_the_system_does(tmp_path: Path) -> None:
    clock = f"sys/devices/system/cpu/cpu{usable_cores()[-1]}/cpufreq"
    root = machine(
        tmp_path,
        {
            f"{clock}/scaling_governor": "ondemand\n",
            f"{clock}/scaling_cur_freq": "1500000\n",
            f"{clock}/cpuinfo_min_freq": "600000\n",
            f"{clock}/cpuinfo_max_freq": "1800000\n",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "sys/class/thermal/thermal_zone0/temp": "48312\n",
            "sys/class/thermal/thermal_zone1/type": "iwlwifi_1\n",
            "sys/class/thermal/thermal_zone1/temp": "91000\n",
            "sys/class/hwmon/hwmon3/name": "nvme\n",
            "sys/class/hwmon/hwmon3/temp1_input": "93000\n",
            "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
        },
    )
    facts = host_facts(root=root)
    assert facts["governor"] == "ondemand"
    assert [facts[f"{each}frequency_mhz"] for each in ("", "min_", "max_")] == [1500.0, 600.0, 1800.0]
    assert facts["temperature_c"] == 48.312
    assert facts["board"] == "Raspberry Pi 4 Model B Rev 1.4"


def test_what_the_system_does_not_tell_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    facts = host_facts(root=tmp_path)
    unknown = ("governor", "frequency_mhz", "min_frequency_mhz", "max_frequency_mhz", "temperature_c", "throttled")
    assert [facts[key] for key in (*unknown, "board")] == [None] * 7


@pytest.mark.parametrize(
    ("vendor", "product", "virtual"),
    [
        ("QEMU", "Standard PC", True),
        ("Amazon EC2", "c7g.large", True),
        ("Amazon EC2", "c7g.metal", False),
        ("Dell Inc.", "OptiPlex", False),
    ],
)
def test_a_virtual_machine_is_known_by_its_maker(
    vendor: str, product: str, virtual: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeport.benchmarks.measure.machine.host.cpu_facts", dict)
    root = machine(tmp_path, {"sys/class/dmi/id/sys_vendor": vendor, "sys/class/dmi/id/product_name": product})
    assert host_facts(root=root)["hypervisor"] is virtual


def test_the_core_of_an_arm_processor_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"CPU implementer": "0x41", "CPU part": "0xd0b", "Features": "fp asimd asimddp crc32"}
    monkeypatch.setattr("edgeport.benchmarks.measure.machine.host.cpu_facts", lambda: fields)
    facts = host_facts()
    assert (facts["cpu_core"], facts["flags"]) == ("Cortex-A76", ["asimd", "asimddp"])


def test_a_raspberry_pis_firmware_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    firmware(
        monkeypatch,
        tmp_path / "bin",
        'case $1 in get_throttled) echo throttled=0x50005;; measure_temp) echo "temp=61.3\'C";; esac',
    )
    assert sensors.throttled_bits() == 0x50005
    assert sensors.temperature_c(root=tmp_path) == 61.3


@pytest.mark.parametrize(
    "script", ["echo throttled=0x1; exit 1", "echo 'VCHI initialization failed'", "echo throttled=", "exit 0"]
)
def test_a_firmware_that_does_not_answer_is_no_error(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    firmware(monkeypatch, tmp_path / "bin", script)
    assert sensors.throttled_bits() is None
    assert sensors.temperature_c(root=tmp_path) is None


def test_the_clock_is_read_on_the_core_itself_and_the_process_may_run_everywhere_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cores = usable_cores()
    name = "sys/devices/system/cpu/cpu{}/cpufreq/scaling_cur_freq"
    root = machine(tmp_path, {name.format(core): f"{1000000 + 400000 * place}" for place, core in enumerate(cores)})
    expected = 1000 + 200 * (len(cores) - 1)
    asked: list[tuple[int, set[int]]] = []
    read = sensors.clock_mhz

    def watched(core: int, *, root: Path) -> float | None:
        asked.append((core, os.sched_getaffinity(0)))
        return read(core, root=root)

    monkeypatch.setattr(sensors, "clock_mhz", watched)
    started = time.thread_time()
    assert sensors.busy_clock_mhz(cores, root=root) == expected
    assert time.thread_time() - started > 0.001 * len(cores), "an idle core says nothing"
    assert asked[len(cores) :] == [(core, {core}) for core in cores]
    assert usable_cores() == cores
    assert sensors.busy_clock_mhz(cores, root=tmp_path / "nothing") is None


def test_time_of_others_is_what_was_busy_without_our_own() -> None:
    before = Snapshot(taken_s=10.0, busy_s=100.0, stolen_s=5.0, own_s=3.0)
    after = Snapshot(taken_s=14.0, busy_s=107.0, stolen_s=5.4, own_s=8.0, frequency_mhz=1800.0, temperature_c=70.0)
    found = condition(before, after, yardstick_ns=41_000)
    assert found == Condition(4.0, 0.5, 0.1, 41_000, 1800.0, 70.0, None)
    coarse = replace(after, busy_s=104.9)
    assert condition(before, coarse, yardstick_ns=1).others_busy == 0.0, "counters are coarse: never less than nothing"


def test_counters_that_are_missing_or_stand_still_tell_nothing() -> None:
    before = Snapshot(taken_s=0.0, busy_s=0.0, stolen_s=0.0, own_s=0.0)
    still = condition(before, replace(before, taken_s=2.0, own_s=1.5), yardstick_ns=1)
    assert (still.others_busy, still.stolen) == (None, None)
    blind = replace(before, busy_s=None, stolen_s=None)
    missing = condition(blind, replace(blind, taken_s=2.0), yardstick_ns=1)
    assert (missing.others_busy, missing.stolen) == (None, None)


def test_busy_and_stolen_are_those_of_the_cores_that_may_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeport.benchmarks.measure.machine.conditions.usable_cores", lambda: [3])
    # user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice
    fields = (100, 20, 30, 4000, 500, 6, 7, 80, 90, 10)
    root = machine(tmp_path, {"proc/stat": proc_stat(3, *fields)})
    printed = snapshot([], root=root)
    assert printed.busy_s == pytest.approx(163 / TICK)
    assert printed.stolen_s == pytest.approx(80 / TICK)
    assert snapshot([], root=tmp_path / "nothing").busy_s is None
    machine(tmp_path, {"proc/stat": proc_stat(3, 100, 20, 30, 4000)})
    assert snapshot([], root=root).stolen_s == 0.0, "kernels of old do not count it"


def test_a_process_is_counted_with_its_children_whatever_its_name(tmp_path: Path) -> None:
    line = "42 (py) thon (3) S " + " ".join(["0"] * 10) + " 100 20 3 4 0 0\n"
    root = machine(tmp_path, {"proc/42/stat": line})
    alone, printed = snapshot([], root=root).own_s, snapshot([42], root=root).own_s
    assert printed - alone == pytest.approx(127 / TICK, abs=0.02)


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="the system has no /proc/stat")
def test_a_measuring_process_is_our_own_while_it_lives_and_afterwards() -> None:
    before = snapshot([])
    if before.busy_s == 0:
        pytest.skip("the counters of this system stand still")
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        # On a busy machine it gets its share late.
        for _ in range(120):
            time.sleep(0.25)
            printed, untold = snapshot([process.pid]), snapshot([])
            if printed.own_s - untold.own_s > 0.2:
                break
    finally:
        process.kill()
        process.wait()
    ended = snapshot([process.pid])
    used = printed.own_s - untold.own_s
    assert used > 0.1
    assert ended.own_s - before.own_s >= used - 0.05
    found = condition(before, printed, yardstick_ns=1)
    blamed = condition(before, untold, yardstick_ns=1)
    assert found.others_busy is not None
    assert blamed.others_busy is not None
    assert blamed.others_busy > found.others_busy


def test_the_reference_workload_does_the_same_each_time() -> None:
    call = reference_workload()
    first = np.array(call())
    np.testing.assert_array_equal(call(), first)
    assert first.max() > 0 == first.min()
    times = []
    for _ in range(200):
        started = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - started)
    assert 2_000 < np.median(times) < 5_000_000


def test_a_calm_machine_disturbs_nothing() -> None:
    assert disturbances([CALM] * 20, {"governor": "powersave"}) == []
    silent = Condition(2.0, None, None, 41_000)
    assert disturbances([silent] * 20, {}) == []
    assert disturbances([], {}) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"others_busy": 0.4}, r"Other processes used 0\.06 cores on average and up to 0\.40 \(round 3 of 10\)"),
        ({"others_busy": 0.29}, ""),
        ({"stolen": 0.25}, r"The hypervisor kept 0\.03 cores"),
        ({"stolen": 0.15}, ""),
        ({"yardstick_ns": 45_200}, r"took 41\.0 us in one round and 45\.2 us in another, expected within 10%"),
        ({"yardstick_ns": 45_000}, ""),
        ({"frequency_mhz": 1500.0}, r"between 1,500 and 2,400 MHz, expected within 5%; the governor is ondemand"),
        ({"frequency_mhz": 2300.0}, ""),
        ({"temperature_c": 80.4}, "reached 80 degrees Celsius"),
        ({"temperature_c": 79.9}, ""),
        ({"throttled": 0x1}, "reported under-voltage at the end of 1 of 10 rounds"),
        ({"throttled": 0x8}, "reported the soft temperature limit"),
    ],
)
def test_what_disturbs_a_run_is_reported(changes: dict[str, float], says: str) -> None:
    found = disturbances([CALM, CALM, replace(CALM, **changes), *[CALM] * 7], {"governor": "ondemand"})
    assert len(found) == (1 if says else 0), found
    if says:
        assert re.search(says, found[0]), found[0]


def test_a_load_that_is_always_there_is_reported_by_its_mean() -> None:
    (printed,) = disturbances([replace(CALM, others_busy=0.15)] * 4, {})
    assert "0.15 cores on average" in printed


def test_a_long_generation_counts_for_more() -> None:
    long, short = replace(CALM, seconds=30.0, others_busy=0.0), replace(CALM, seconds=1.0, others_busy=0.29)
    assert disturbances([long, short, short], {}) == []
    assert disturbances([replace(long, others_busy=0.29), short, short], {}) != []


def test_the_governor_is_no_disturbance_where_the_clock_kept_still_nor_blamed_where_it_is_the_right_one() -> None:
    moved = [CALM, replace(CALM, frequency_mhz=1800.0)]
    assert "governor" not in disturbances(moved, {"governor": "performance"})[0]
    assert "powersave" in disturbances(moved, {"governor": "powersave"})[0]


def test_throttling_since_the_start_is_reported_with_what_is_known_of_when() -> None:
    (before,) = disturbances([replace(CALM, throttled=0x50000 & 0x10000)] * 3, {})
    assert before == (
        "The firmware reports under-voltage since the machine was started, before or during the first round"
    )
    during = disturbances([CALM, replace(CALM, throttled=0x40000)], {})
    assert during == ["The firmware reports throttling since the machine was started, during the run"]
    both = disturbances([CALM, replace(CALM, throttled=0x40004)], {})
    assert both == ["The firmware reported throttling at the end of 1 of 2 rounds"]
