"""Every example and the README's program run to the end and print the expected lines."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import readme

ROOT = Path(__file__).resolve().parent.parent

# Maps each example to the text that its last lines must contain.
EXPECTED = {
    "dense": r"Test accuracy 0\.[89]",
    "mnist_cnn": r"test images: 0\.9\d+\nLoaded again, it predicts identically\.",
    "lstm_sequences": r"The LSTM: +squared error 0\.\d+",
    "gru_sequences": r"60 forecast steps: +off by 0\.\d+",
    "two_inputs_two_outputs": r"Urgency: off by 0\.[012]",
    "transfer_learning": r"The frozen layers did not change\.",
}


def run(arguments, folder):
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    result = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    return result.stdout


def test_every_example_is_tested():
    assert {file.stem for file in (ROOT / "examples").glob("*.py")} == set(EXPECTED)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_example(name, tmp_path):
    output = run([str(ROOT / "examples" / f"{name}.py"), "--quick"], tmp_path)
    assert re.search(EXPECTED[name], output), output[-2000:]
    if name == "mnist_cnn":
        pictures = tmp_path / "demo_output"
        for picture in ("learning_curves.png", "sample_predictions.png"):
            assert (pictures / picture).read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_demo_fails_below_the_required_accuracy(tmp_path):
    example = str(ROOT / "examples" / "mnist_cnn.py")
    with pytest.raises(AssertionError, match="below the required 1.01"):
        run([example, "--quick", "--epochs", "1", "--require", "1.01"], tmp_path)


@pytest.mark.slow
def test_the_readmes_program_runs(tmp_path):
    program = readme.first_program()
    (tmp_path / "program.py").write_text(program)
    output = run(["program.py"], tmp_path)
    accuracy = re.search(r"On the test images:.*'accuracy': (?:np\.float\d+\()?([0-9.]+)", output)
    assert accuracy, output[-2000:]
    assert float(accuracy[1]) > 0.95


def test_the_readme_names_files_that_exist():
    text = readme.README.read_text("utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", text) + re.findall(r"\b(script/\w+|examples/)", text)
    assert len(links) > 5
    missing = [link for link in links if not (ROOT / link).exists()]
    assert missing == []
