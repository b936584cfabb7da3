"""What `analysis.prompts` promises to other packages."""

import inspect
import subprocess
import sys

import analysis.prompts


def test_all_is_sorted_and_complete():
    modules = {"balance", "builtin", "hub", "hub_files", "importers", "prompt_set", "sources"}
    public = {name for name in vars(analysis.prompts) if not name.startswith("_")} - modules
    assert analysis.prompts.__all__ == sorted(analysis.prompts.__all__)
    assert public == set(analysis.prompts.__all__)
    assert all(inspect.ismodule(getattr(analysis.prompts, name)) for name in modules)


def test_importing_it_is_cheap_and_loads_no_hub_client():
    heavy = "{'huggingface_hub', 'numpy', 'pandas', 'torch'}"
    script = f"import sys, analysis.prompts; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
