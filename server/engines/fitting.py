"""Whether an adapter's matrices are those of the base model's modules, looked up without the base model's weights.

An engine on another machine may leave out, without a word, matrices of layers or modules that it does not know.
"""

from __future__ import annotations

from pathlib import Path

from radimpress.reports.errors import BundleError
from radimpress.trainer.bases import BaseModel
from radimpress.trainer.bundle import AdapterBundle


class Fitting:
    """The modules of a base model that adapters may have matrices for.

    Args:
        base: its entry in the table.
        folder: its files; only the configuration is read.
        digest: over its files.
    """

    def __init__(self, base: BaseModel, folder: Path, digest: str) -> None:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM

        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
        self._targets = base.targets
        self._digest = digest
        # Name -> width of what goes in and of what comes out.
        self.modules = {
            name: (module.in_features, module.out_features)
            for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear) and name.rpartition(".")[2] in base.targets
        }

    def check(self, adapter: AdapterBundle) -> None:
        """Reads an adapter's files and checks all of them.

        Raises:
            DigestError: a file is not the manifest's.
            BundleError: it must not be served; says why.
        """
        contents = adapter.read(self._digest, self._targets)
        rank = int(contents.config["r"])
        wanted: dict[str, tuple[int, ...]] = {}
        for name, (inputs, outputs) in self.modules.items():
            if name.rpartition(".")[2] in contents.targets:
                wanted[f"base_model.model.{name}.lora_A.weight"] = (rank, inputs)
                wanted[f"base_model.model.{name}.lora_B.weight"] = (outputs, rank)
        found = {key: tuple(tensor.shape) for key, tensor in contents.tensors.items()}
        misfit = next((key for key in sorted({*wanted, *found}) if wanted.get(key) != found.get(key)), None)
        if misfit is not None:
            raise BundleError(f"{adapter.name}: its tensors do not fit the base model's modules: {misfit}")
