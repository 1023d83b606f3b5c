"""Writes the demo model: a checkpoint with the real Qwen3-VL architecture and files, small and untrained.

It stands in for Qwen3-VL-8B-Instruct where no GPU and no model hub is at hand. Every engine loads it from its
folder as it loads the real one, with the same prompt layout and token accounting; its weights are random, so
what it says means nothing.

    python tools/make_demo_model.py --output models/demo
"""

import argparse
import hashlib
import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import AutoModelForImageTextToText, PreTrainedModel, Qwen3VLConfig
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

RECIPE_FILE = "longtake_demo_model.json"
MAX_MODEL_LEN = 262144  # tokens

END_OF_TEXT = "<|endoftext|>"
IM_END = "<|im_end|>"
VISION_START = "<|vision_start|>"
VISION_END = "<|vision_end|>"
IMAGE_PAD = "<|image_pad|>"
VIDEO_PAD = "<|video_pad|>"

# Both lists in upstream's order of ids. Only the first kind is dropped by `skip_special_tokens`.
SPECIAL_TOKENS = (
    END_OF_TEXT,
    "<|im_start|>",
    IM_END,
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    VISION_START,
    VISION_END,
    "<|vision_pad|>",
    IMAGE_PAD,
    VIDEO_PAD,
)
PLAIN_ADDED_TOKENS = (
    "<tool_call>",
    "</tool_call>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
    "<tool_response>",
    "</tool_response>",
    "<think>",
    "</think>",
)

# Each becomes one token, alone and after a space. Other text falls to pieces of these words and to bytes.
WORDS = """
red green blue yellow orange purple pink brown black white gray cyan magenta
circle square triangle rectangle star diamond cross ring line dot shape
small large big bright dark moving still left right top bottom center middle corner edge background
moves moved appears appeared disappears grows shrinks turns stays enters leaves changes changed
zero one two three four five six seven eight nine ten first third last next
second seconds minute minutes hour hours time times start end begin before after between during until
then now a an the and or not no yes none nothing of in on at to from by with for as is are was were be
been has have there this that it its they them who what when where which how many why if only each every
all any some other same you your user assistant system answer answers question questions describe list
say give write use find video image frame frames scene event events chunk part whole long short clip
camera text person people
A The In On At It There This What When Where Which How Describe Answer List You Question Video No Yes
"""

# As Qwen3-VL-Instruct's, kept in upstream's plain loops: vLLM reads them to tell that content may be a list.
CHAT_TEMPLATE = r"""{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0].role == 'system' %}
        {%- if messages[0].content is string %}
            {{- messages[0].content }}
        {%- else %}
            {%- for content in messages[0].content %}
                {%- if 'text' in content %}
                    {{- content.text }}
                {%- endif %}
            {%- endfor %}
        {%- endif %}
        {{- '\n\n' }}
    {%- endif %}
    {{- "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n" }}
    {{- "You are provided with function signatures within <tools></tools> XML tags:\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools>\n\nFor each function call, return a json object with function name and arguments " }}
    {{- "within <tool_call></tool_call> XML tags:\n<tool_call>\n" }}
    {{- "{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call><|im_end|>\n" }}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\n' }}
        {%- if messages[0].content is string %}
            {{- messages[0].content }}
        {%- else %}
            {%- for content in messages[0].content %}
                {%- if 'text' in content %}
                    {{- content.text }}
                {%- endif %}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\n' }}
    {%- endif %}
{%- endif %}
{%- set image_count = namespace(value=0) %}
{%- set video_count = namespace(value=0) %}
{%- for message in messages %}
    {%- if message.role == "user" %}
        {{- '<|im_start|>' + message.role + '\n' }}
        {%- if message.content is string %}
            {{- message.content }}
        {%- else %}
            {%- for content in message.content %}
                {%- if content.type == 'image' or 'image' in content or 'image_url' in content %}
                    {%- set image_count.value = image_count.value + 1 %}
                    {%- if add_vision_id %}Picture {{ image_count.value }}: {% endif -%}
                    <|vision_start|><|image_pad|><|vision_end|>
                {%- elif content.type == 'video' or 'video' in content %}
                    {%- set video_count.value = video_count.value + 1 %}
                    {%- if add_vision_id %}Video {{ video_count.value }}: {% endif -%}
                    <|vision_start|><|video_pad|><|vision_end|>
                {%- elif 'text' in content %}
                    {{- content.text }}
                {%- endif %}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role + '\n' }}
        {%- if message.content is string %}
            {{- message.content }}
        {%- else %}
            {%- for content in message.content %}
                {%- if 'text' in content %}
                    {{- content.text }}
                {%- endif %}
            {%- endfor %}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and message.content) or (not loop.first) %}
                    {{- '\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<tool_call>\n{"name": "' }}
                {{- tool_call.name }}
                {{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}
                    {{- tool_call.arguments }}
                {%- else %}
                    {{- tool_call.arguments | tojson }}
                {%- endif %}
                {{- '}\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\n<tool_response>\n' }}
        {%- if message.content is string %}
            {{- message.content }}
        {%- else %}
            {%- for content in message.content %}
                {%- if content.type == 'image' or 'image' in content or 'image_url' in content %}
                    {%- set image_count.value = image_count.value + 1 %}
                    {%- if add_vision_id %}Picture {{ image_count.value }}: {% endif -%}
                    <|vision_start|><|image_pad|><|vision_end|>
                {%- elif content.type == 'video' or 'video' in content %}
                    {%- set video_count.value = video_count.value + 1 %}
                    {%- if add_vision_id %}Video {{ video_count.value }}: {% endif -%}
                    <|vision_start|><|video_pad|><|vision_end|>
                {%- elif 'text' in content %}
                    {{- content.text }}
                {%- endif %}
            {%- endfor %}
        {%- endif %}
        {{- '\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
"""

PATCHES: dict[str, int] = {"patch_size": 16, "temporal_patch_size": 2}  # px, frames


def make_demo_model(directory: Path, seed: int = 0) -> Path:
    """Writes the demo checkpoint into `directory`, about 3 MB, unless the same recipe already made it.

    Args:
        directory: the folder to make; its parents are made too. An older demo model there is replaced.
        seed: of the random weights; the same seed gives the same bytes.

    Returns:
        `directory`.

    Raises:
        FileExistsError: `directory` holds something other than a demo model.
    """
    fingerprint = _recipe_fingerprint(seed)
    if _is_complete(directory, fingerprint):
        return directory
    _refuse_foreign_folder(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=directory.parent, prefix=f".{directory.name}.") as scratch:
        made = Path(scratch, "made")
        made.mkdir()
        _write_checkpoint(made, seed)
        _write_recipe(made, fingerprint, seed)
        if directory.exists():
            directory.rename(Path(scratch, "replaced"))
        made.rename(directory)
    return directory


def _recipe_fingerprint(seed: int) -> str:
    """Changes with this file, the seed and the libraries that draw the weights and write the files."""
    libraries = [f"{name}=={version(name)}" for name in ("torch", "transformers", "tokenizers")]
    recipe = Path(__file__).read_text(encoding="utf-8") + f"{seed} {libraries}"
    return hashlib.sha256(recipe.encode()).hexdigest()


def _is_complete(directory: Path, fingerprint: str) -> bool:
    recipe_path = directory / RECIPE_FILE
    if not recipe_path.is_file():
        return False
    recipe = json.loads(recipe_path.read_text(encoding="utf-8"))
    has_files = all((directory / name).is_file() for name in recipe["files"])
    return has_files and recipe["fingerprint"] == fingerprint


def _refuse_foreign_folder(directory: Path) -> None:
    if not directory.exists() or (directory / RECIPE_FILE).is_file():
        return
    if not directory.is_dir() or any(directory.iterdir()):
        raise FileExistsError(
            f"{directory} exists and is no demo model (it has no {RECIPE_FILE}); "
            "give an empty or new folder, or remove it first"
        )


def _write_checkpoint(directory: Path, seed: int) -> None:
    tokenizer = _train_tokenizer()
    config = _model_config(tokenizer)
    _random_model(config, seed).save_pretrained(directory)
    # safetensors keeps its file to its owner; whoever serves the model may be another user.
    (directory / "model.safetensors").chmod(0o644)
    tokenizer.save(str(directory / "tokenizer.json"))
    (directory / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    # After save_pretrained, whose own config.json names fields (rope_parameters) that older readers miss.
    _write_json(directory / "config.json", config)
    _write_json(directory / "generation_config.json", _generation_config(tokenizer))
    _write_json(directory / "tokenizer_config.json", _tokenizer_config(tokenizer))
    _write_json(directory / "preprocessor_config.json", _image_processor_config())
    _write_json(directory / "video_preprocessor_config.json", _video_processor_config())


def _write_recipe(directory: Path, fingerprint: str, seed: int) -> None:
    files = sorted(path.name for path in directory.iterdir())
    recipe = {"fingerprint": fingerprint, "seed": seed, "trained": False, "files": files}
    _write_json(directory / RECIPE_FILE, recipe)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _train_tokenizer() -> Tokenizer:
    """Byte-level BPE as Qwen2's: trained with no cap on merges, so that every word ends as one token."""
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=MAX_MODEL_LEN,  # never reached
        min_frequency=1,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_spellings(), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL_TOKENS])
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in PLAIN_ADDED_TOKENS])
    return tokenizer


def _spellings() -> Iterator[str]:
    for word in WORDS.split():
        yield word
        yield f" {word}"


def _random_model(config: dict[str, Any], seed: int) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: PreTrainedModel = AutoModelForImageTextToText.from_config(  # type: ignore[no-untyped-call]
            Qwen3VLConfig(**config)
        )
    return model


def _model_config(tokenizer: Tokenizer) -> dict[str, Any]:
    """Qwen3-VL-8B-Instruct's config.json with smaller sizes; its other values are kept."""
    hidden_size = 128
    return {
        "architectures": ["Qwen3VLForConditionalGeneration"],
        "model_type": "qwen3_vl",
        "dtype": "bfloat16",
        "image_token_id": tokenizer.token_to_id(IMAGE_PAD),
        "video_token_id": tokenizer.token_to_id(VIDEO_PAD),
        "vision_start_token_id": tokenizer.token_to_id(VISION_START),
        "vision_end_token_id": tokenizer.token_to_id(VISION_END),
        "tie_word_embeddings": True,
        "text_config": {
            "model_type": "qwen3_vl_text",
            "dtype": "bfloat16",
            # Exact, not padded: a padding id could be sampled and would decode to nothing.
            "vocab_size": tokenizer.get_vocab_size(),
            "bos_token_id": tokenizer.token_to_id(END_OF_TEXT),
            "eos_token_id": tokenizer.token_to_id(IM_END),
            "hidden_size": hidden_size,
            "intermediate_size": 384,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 32,
            "hidden_act": "silu",
            "attention_bias": False,
            "attention_dropout": 0.0,
            "initializer_range": 0.02,
            "rms_norm_eps": 1e-6,
            "max_position_embeddings": MAX_MODEL_LEN,
            "rope_theta": 5000000,
            # Halves of head_dim for time, height, width: the 8B's [24, 20, 20] of 64 to the nearest fit.
            "rope_scaling": {"mrope_interleaved": True, "mrope_section": [8, 4, 4], "rope_type": "default"},
            "tie_word_embeddings": True,
            "use_cache": True,
        },
        "vision_config": {
            "model_type": "qwen3_vl",
            **PATCHES,
            "spatial_merge_size": 2,
            "in_channels": 3,
            "depth": 2,
            "deepstack_visual_indexes": [0, 1],
            "hidden_size": 64,
            "intermediate_size": 256,
            "num_heads": 4,
            "num_position_embeddings": 2304,
            "out_hidden_size": hidden_size,
            "hidden_act": "gelu_pytorch_tanh",
            "initializer_range": 0.02,
        },
    }


def _generation_config(tokenizer: Tokenizer) -> dict[str, Any]:
    end_of_text, im_end = tokenizer.token_to_id(END_OF_TEXT), tokenizer.token_to_id(IM_END)
    return {
        "bos_token_id": end_of_text,
        "pad_token_id": end_of_text,
        "eos_token_id": [im_end, end_of_text],
        "do_sample": True,
        "temperature": 0.7,
        "top_p": 0.8,
        "top_k": 20,
        "repetition_penalty": 1.0,
    }


def _tokenizer_config(tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "tokenizer_class": "Qwen2Tokenizer",
        "processor_class": "Qwen3VLProcessor",
        "chat_template": CHAT_TEMPLATE,
        "model_max_length": MAX_MODEL_LEN,
        "added_tokens_decoder": {
            str(token_id): {
                "content": token.content,
                "lstrip": token.lstrip,
                "normalized": token.normalized,
                "rstrip": token.rstrip,
                "single_word": token.single_word,
                "special": token.special,
            }
            for token_id, token in sorted(tokenizer.get_added_tokens_decoder().items())
        },
        "additional_special_tokens": [token for token in SPECIAL_TOKENS if token != END_OF_TEXT],
        "bos_token": None,
        "eos_token": IM_END,
        "pad_token": END_OF_TEXT,
        "unk_token": None,
        "errors": "replace",
        "add_bos_token": False,
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": False,
    }


def _image_processor_config() -> dict[str, Any]:
    return {
        "image_processor_type": "Qwen2VLImageProcessorFast",
        "size": {"longest_edge": 16777216, "shortest_edge": 65536},  # px per image
        **_pixel_config(),
    }


def _video_processor_config() -> dict[str, Any]:
    return {
        "video_processor_type": "Qwen3VLVideoProcessor",
        "size": {"longest_edge": 25165824, "shortest_edge": 4096},  # px of all frames together
        **_pixel_config(),
    }


def _pixel_config() -> dict[str, Any]:
    return {
        "processor_class": "Qwen3VLProcessor",
        **PATCHES,
        "merge_size": 2,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }


def main() -> None:
    """Makes the demo model in the folder that the command line names."""
    parser = argparse.ArgumentParser(description="Write a small Qwen3-VL with random weights.")
    parser.add_argument("--output", type=Path, default=Path("models/demo"), help="folder to make")
    parser.add_argument("--seed", type=int, default=0, help="of the weights")
    arguments = parser.parse_args()
    print(make_demo_model(arguments.output, arguments.seed))


if __name__ == "__main__":
    main()
