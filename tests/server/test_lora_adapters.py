from __future__ import annotations

import pytest

from radimpress.reports.errors import ConfigError
from radimpress.server.lora_adapters import lora_paths
from radimpress.server.routes import TrialKind, TrialPlan
from tests.server.conftest import CT_ANY, CT_LIST, Site, certificate


def test_every_adapter_that_serves_or_is_on_trial_is_named_once_by_its_digest(site: Site) -> None:
    first = site.promote(site.first, CT_LIST, CT_ANY)
    second = site.registry.register(site.path(site.second))
    canary = TrialPlan(TrialKind.CANARY, 10.0)
    site.registry.promote(second, certificate(second, CT_LIST, incumbent=first), trial=canary)
    found = dict(lora_paths(site.registry.table(), str(site.bundles)))
    assert found == {first.digest: str(site.first.path), second.digest: str(site.second.path)}


def test_the_folder_is_as_tgi_sees_it(site: Site) -> None:
    adapter = site.promote(site.first, CT_LIST)
    found = dict(lora_paths(site.registry.table(), "s3://hospital/bundles", "/bundles/"))
    assert found == {adapter.digest: f"/bundles/{adapter.path}"}


@pytest.mark.parametrize("folder", ["/a,b", "/a=b", "/a b", "/$HOME", "/a\nX=1", "/a@2"])
def test_a_folder_that_tgi_would_read_otherwise_is_refused(site: Site, folder: str) -> None:
    site.promote(site.first, CT_LIST)
    with pytest.raises(ConfigError, match="LORA_ADAPTERS cannot"):
        dict(lora_paths(site.registry.table(), "bundles", folder))


def test_bundles_at_a_url_need_a_folder(site: Site) -> None:
    with pytest.raises(ConfigError, match="say in which folder"):
        dict(lora_paths(site.registry.table(), "s3://hospital/bundles"))
