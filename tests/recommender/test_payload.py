from __future__ import annotations

import io
import json
import tarfile

import pytest

from lib.recommender.payload import PayloadError, pack, samples_of_lines, samples_of_texts


def test_texts_become_requests_in_one_archive_that_is_always_the_same() -> None:
    samples = samples_of_texts(["Grüße", " ", "Two."], '{"max_length": 60}')
    assert json.loads(samples[0]) == {"inputs": "Grüße", "parameters": {"max_length": 60}}
    packed = pack(samples)
    assert packed == pack(samples)
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        names = archive.getnames()
        read = archive.extractfile(names[1])
        assert names == ["sample-0001.json", "sample-0002.json"]
        assert read is not None
        assert read.read() == samples[1]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('{"inputs": "a"}\nno json', "Line 2 is no JSON"),
        ('{"inputs": NaN}', "JSON knows no NaN"),
        ("1\n" + "[" * 100_000, "Line 2 is no JSON .it is nested too deeply"),
        ("\n", "no sample"),
        ("1\n" * 1_001, "1,001 samples"),
        (json.dumps("x" * 6_300_000), "an endpoint takes"),
    ],
)
def test_what_is_no_payload_is_refused_with_the_line(lines: str, said: str) -> None:
    with pytest.raises(PayloadError, match=said):
        samples_of_lines(lines)


def test_parameters_are_a_json_object() -> None:
    for wrong in ("60", "{", '{"t": Infinity}', "[" * 100_000):
        with pytest.raises(PayloadError, match="parameters are no JSON"):
            samples_of_texts(["a"], wrong)
