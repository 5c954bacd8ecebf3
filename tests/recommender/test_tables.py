import json
from pathlib import Path

import pytest

from lib.recommender.model import Metrics, Origin, identity_holds
from lib.recommender.tables import TableError, read_table

# Results printed in notebooks of aws/amazon-sagemaker-examples (Apache-2.0).
REAL_TABLES = Path(__file__).resolve().parents[3] / "shared" / "data" / "recommender" / "tables"
HEAD = "InstanceType,EnvironmentParameters,CostPerHour,CostPerInference,MaxInvocations,ModelLatency"
REAL = f"""{HEAD}
ml.m5.large,[],0.115,4e-06,547,423
ml.inf1.xlarge,[],0.297,6e-06,801,197
ml.c5.xlarge,"[{{'Key': 'OMP_NUM_THREADS', 'Value': '1'}}]",0.204,7e-06,508,3674
"""


def _job(**more: object) -> bytes:
    metrics = {
        "CostPerHour": 0.115,
        "CostPerInference": 3.5825e-6,
        "MaximumInvocations": 535,
        "ModelLatency": 263596,
    }
    one = {
        "Metrics": metrics,
        "EndpointConfiguration": {"InstanceType": "ml.m5.large"},
        "ModelConfiguration": {"EnvironmentParameters": [{"Key": "A", "Value": "1"}]},
    }
    return json.dumps({"JobName": "j", "InferenceRecommendations": [one]} | more).encode()


def test_the_identity_holds_on_real_rows() -> None:
    rows = read_table(REAL.encode()).rows + read_table(_job()).rows
    assert [identity_holds(row) for row in rows] == [True] * 4
    assert rows[2].environment == (("OMP_NUM_THREADS", "1"),)


def test_the_identity_holds_on_every_real_table_of_the_data_folder() -> None:
    files = sorted(REAL_TABLES.glob("*.csv"))
    if not files:
        pytest.skip("The folder of real tables, ../shared/data/recommender, is not there.")
    for file in files:
        for row in read_table(file.read_bytes()).rows:
            assert identity_holds(row) is True, f"{file.name}: {row.configuration}"


def test_a_wrong_cost_breaks_the_identity() -> None:
    wrong = Metrics("ml.m5.large", Origin.AWS, 0.115, 5.1e-6, 535)
    assert identity_holds(wrong) is False
    assert identity_holds(Metrics("ml.m5.large", Origin.AWS)) is None


def test_old_microseconds_become_milliseconds_with_a_note() -> None:
    table = read_table(_job())
    assert table.rows[0].model_latency == pytest.approx(263.596)
    assert "microseconds" in table.notes[0]


def test_a_metric_that_is_nan_is_unknown() -> None:
    table = read_table(f"{HEAD}\nml.m5.large,[],0.115,nan,547,423\n".encode())
    assert table.rows[0].cost_per_inference is None
    assert "CostPerInference" in table.notes[0]


def test_a_running_job_says_that_more_may_follow() -> None:
    assert "IN_PROGRESS" in read_table(_job(Status="IN_PROGRESS")).notes[0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfe", "UTF-8"),
        (b"{broken", "begins like JSON"),
        (b"[1]", "no InferenceRecommendations"),
        (_job(Status="FAILED", FailureReason="quota exceeded"), "quota exceeded"),
        (_job(Status="PENDING", InferenceRecommendations=[]), "PENDING"),
        (_job(InferenceRecommendations=[1]), "instance type"),
        (_job(InferenceRecommendations=[{"Metrics": 3}]), "another shape"),
        (b"a,b\n1,2\n", "InstanceType"),
        (f"{HEAD}\n".encode(), "no rows"),
        (f"{HEAD}\nml.m5.large,[],x,1,1,1\n".encode(), "no number"),
        (f"{HEAD}\nml.m5.large,[],-1,1,1,1\n".encode(), "not an amount"),
        (f"{HEAD}\nml.m5.large,f(),1,1,1,1\n".encode(), "no list"),
    ],
)
def test_a_bad_file_is_refused_in_a_sentence(data: bytes, message: str) -> None:
    with pytest.raises(TableError, match=message):
        read_table(data)


def test_a_local_row_never_names_an_instance() -> None:
    with pytest.raises(ValueError, match="local"):
        Metrics("ml.m5.large", Origin.LOCAL)


def test_an_instance_type_that_aws_does_not_list_is_noted() -> None:
    table = read_table(f"{HEAD}\nml.abacus.large,[],1,1,1,1\nml.c5.xlarge,[],1,1,1,1\n".encode())
    assert table.notes == (
        "ml.abacus.large is no instance type that AWS lists: look at its spelling.",
    )
