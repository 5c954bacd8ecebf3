from __future__ import annotations

import json

import pytest
from streamlit.testing.v1 import AppTest

from lib.canvas.mapping import read_table
from lib.canvas.sign_on import Wanted, assist
from lib.settings import settings
from lib.ui.pages import CANVAS
from tests.canvas.test_sign_on import metadata
from tests.pages.conftest import visit


def show(view: str = "Launch", **state: object) -> AppTest:
    return visit(CANVAS, canvas_view=view, **state)


def words(app: AppTest) -> str:
    shown = [*(one.value for one in app.markdown), *(one.value for one in app.caption)]
    return "\n".join(shown).replace("\\", "")


def test_without_aws_it_tells_what_would_happen_and_what_is_missing() -> None:
    app = show()
    assert not app.exception
    assert "You would land in Canvas as" in words(app)
    assert "SIGHTLINE_CANVAS_DOMAIN names the domain" in words(app)
    assert not app.button


def test_names_are_checked_without_aws() -> None:
    app = show("Profiles")
    assert not app.exception
    found = next(one.value for one in app.dataframe if "profile" in one.value)
    assert [*found["profile"]] == ["ann-smith", "bob"]
    app.text_area(key="canvas_users").set_value("ann.\nann-").run()
    found = next(one.value for one in app.dataframe if "profile" in one.value)
    assert "two people would share" in found["problem"][1]


def test_a_table_is_kept_or_refused_with_its_line() -> None:
    app = show("Profiles")
    app.file_uploader(key="canvas_csv").upload("t.csv", b"user,profile\nann,-x\n", "text/csv").run()
    app.button(key="canvas_csv_keep").click().run()
    assert "Line 2 of the table" in app.info[0].value.replace("\\", "")
    app = show("Profiles")
    app.file_uploader(key="canvas_csv").upload("t.csv", b"user,profile\nann,a1\n", "text/csv").run()
    app.button(key="canvas_csv_keep").click().run()
    assert read_table(settings()) == {"ann": "a1"}
    assert not app.exception


def test_single_sign_on_is_told_and_checked() -> None:
    app = show("Single sign-on")
    assert not app.exception
    assert any("#/studio/canvas/open/d-abc123xyz" in one.value for one in app.code)
    app.file_uploader(key="canvas_metadata").upload(
        "idp.xml", metadata(entity=""), "text/xml"
    ).run()
    assert "no entityID" in app.warning[0].value
    provider = "arn:aws:iam::123456789012:saml-provider/AWS_SSO_Canvas"
    trust = assist(Wanted("us-east-1", "d-abc123xyz", provider)).trust
    app = show("Single sign-on")
    app.text_area(key="canvas_trust").set_value(json.dumps(trust)).run()
    assert "may be taken on" in app.success[0].value
    app.text_input(key="canvas_domain").set_value("abc").run()
    assert "domain's id looks like" in app.warning[0].value.replace("\\", "")


def test_the_function_is_shown_with_its_command() -> None:
    app = show("Function")
    assert not app.exception
    assert any("aws cloudformation deploy" in one.value for one in app.code)
    assert any("AuthType: AWS_IAM" in one.value for one in app.code)


def test_settings_that_cannot_be_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from lib.ui import canvas_launch

    wrong = settings().model_copy(update={"canvas_domain": "abc"})
    monkeypatch.setattr(canvas_launch, "settings", lambda: wrong)
    app = show()
    assert "looks like d-abc123xyz" in app.warning[0].value.replace("\\", "")
