from __future__ import annotations

import json
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lib.training.model import Channel
from lib.training.system_metrics import parse, read_all

LINE = (
    '{"Type":"cpu","Name":"cpu5","Dimension":"CPUUtilization","Value":1.36,"NodeId":"algo-1",'
    '"Timestamp":1591748109.2321954}'
)
CPU5 = Channel("algo-1", "cpu", "cpu5", "CPUUtilization")

stamps = st.decimals(1_500_000_000, 2_000_000_000, places=7)
values = st.one_of(
    st.integers(-20, 10**9),
    st.floats(-1e6, 1e12, allow_nan=False).map(lambda value: round(value, 4)),
    st.floats(allow_nan=False, allow_infinity=False),
)
names = st.sampled_from(
    ["cpu0", "cpu1", "gpu0", "MemoryUsedPercent", 'a"b', "é", "Volume", '"Value":']
)
samples = st.tuples(names, st.sampled_from(["algo-1", "algo-12"]), values, stamps)


def line(name: str, node: str, value: object, stamp: Decimal, *, blank: str = "") -> str:
    parts = [
        f'"Type":{blank}"cpu"', f'"Name":{blank}{json.dumps(name)}',
        f'"Dimension":{blank}"CPUUtilization"', f'"Value":{blank}{json.dumps(value)}',
        f'"NodeId":{blank}"{node}"', f'"Timestamp":{blank}{stamp}',
    ]  # fmt: skip
    return "{" + f",{blank}".join(parts) + "}"


@given(st.lists(samples, max_size=20), st.sampled_from(["", " "]))
def test_every_number_is_that_of_the_json_module(
    found: list[tuple[str, str, object, Decimal]], blank: str
) -> None:
    content = "".join(line(*one, blank=blank) + "\n" for one in found).encode()
    parsed = parse(content)
    ours = sorted(
        (parsed.channels[code], int(time), float(value))
        for code, time, value in zip(parsed.code, parsed.times, parsed.values, strict=True)
    )
    theirs = []
    for text in content.decode().splitlines():
        row = json.loads(text, parse_float=Decimal)
        micros = (Decimal(row["Timestamp"]) * 1_000_000).to_integral_value(ROUND_HALF_UP)
        channel = Channel(row["NodeId"], row["Type"], row["Name"], row["Dimension"])
        theirs.append((channel, int(micros), float(json.loads(text)["Value"])))
    assert ours == sorted(theirs)
    assert parsed.broken == 0


def test_a_real_line_and_one_that_is_cut_off() -> None:
    parsed = parse(f"{LINE}\n{LINE[:60]}".encode())
    assert parsed.channels == (CPU5,)
    assert parsed.times.tolist() == [1_591_748_109_232_195]
    assert parsed.values.tolist() == [1.36]
    assert parsed.broken == 1


def test_keys_in_another_order_or_without_a_name_are_read_all_the_same() -> None:
    row = json.loads(LINE)
    turned = json.dumps(dict(reversed(row.items())))
    nameless = json.dumps({key: value for key, value in row.items() if key != "Name"})
    parsed = parse(f"{turned}\n{nameless}\n[1]\nnull\n".encode())
    assert set(parsed.channels) == {CPU5, Channel("algo-1", "cpu", "", "CPUUtilization")}
    assert parsed.broken == 2


def test_oddities_are_counted_kept_or_left_out() -> None:
    def at(second: float, value: float) -> str:
        return line("cpu0", "algo-1", value, Decimal(str(1_600_000_000 + second)))

    text = "\n".join(
        [at(2, 5), at(1, -19.61), at(1, 7), at(3, 250), line("cpu0", "algo-1", 1, Decimal(5))]
    )
    [series], oddities = read_all([text.encode])
    assert series.values.tolist() == [0.0, 5.0, 100.0]
    assert (np.diff(series.times) > 0).all()
    assert {one.kind: one.count for one in oddities} == {
        "twice": 1, "unordered": 1, "outside": 2, "time": 1
    }  # fmt: skip


def test_files_are_joined_by_channel() -> None:
    first = line("cpu0", "algo-1", 1.0, Decimal("1600000000.5"))
    second = line("cpu0", "algo-1", 2.0, Decimal("1600000060.5"))
    done: list[int] = []
    [series], _ = read_all([second.encode, first.encode], done.append)
    assert series.values.tolist() == [1.0, 2.0]
    assert done == [1, 2]


KEYS = st.sampled_from(["Type", "Name", "Dimension", "Value", "NodeId", "Timestamp"])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
    | st.sampled_from(["1e999", "NaN", "Infinity", "9" * 400]),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)  # fmt: skip


@given(st.lists(st.dictionaries(KEYS, anything), max_size=6), st.binary(max_size=60))
def test_whatever_stands_in_a_line_it_is_read_or_counted(
    rows: list[dict[str, object]], more: bytes
) -> None:
    lines = [json.dumps(row).encode() for row in rows]
    parsed = parse(b"\n".join([*lines, more]))
    assert np.isfinite(parsed.values).all()
    blank = sum(not line for line in (*lines, *more.split(b"\n")))
    assert len(parsed.values) + parsed.broken == len(lines) + more.count(b"\n") + 1 - blank


def test_a_line_nested_without_end_is_broken() -> None:
    assert parse(b"[" * 100_000).broken == 1
