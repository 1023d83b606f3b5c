"""The demo model's checkpoint: the files of a Qwen3-VL-Instruct, with the real architecture, small.

Every engine loads it from its folder as it loads the real one, with the same prompt layout and token accounting.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from pipeline.answers.prompting import DEFAULT_MERGE_INSTRUCTION, chunk_prompt, merge_prompt
from pipeline.planning.visual_tokens import PATCH_SIZE_PX, SPATIAL_MERGE, TEMPORAL_PATCH
from pipeline.types import Chunk, Note, Prompt
from tools.demo_model.language import PROMPTS
from tools.demo_model.scenes import COLOURS, SHAPES

MAX_MODEL_LEN = 262144  # tokens
EMBEDDING_STD = 0.1

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

WORDS = """
dark bright small large big moving still left right top bottom center middle corner edge background
moves moved appears appeared disappears grows shrinks turns stays enters leaves changes changed
zero one two three four five six seven eight nine ten first third last next
second seconds minute minutes hour hours time times start starts end begin before after between during until
then now a an the and or not no yes none nothing of in on at to from by with for as is are was were be
been has have there this that it its they them who what when where which how many why if only each every
all any some other same you your user assistant system answer answers question questions describe list
say give write use find image frame frames scene scenes event events whole long short clip
camera text person people note colour colours color colors shape shapes
"""
"""What a question may hold. Every word is one token, alone, after a space and with a capital."""

NUMBER = r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))|\.\p{N}(?!\p{N})|\. (?=\p{N})| seconds>"
"""One token each: a number up to 999, a tenth, the end of one event before the next, the end of a time stamp.

Upstream splits numbers into digits. A model this small copies a time in two steps, and not in five.
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

PATCHES = {"patch_size": PATCH_SIZE_PX, "temporal_patch_size": TEMPORAL_PATCH}  # px, frames


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def make_tokenizer() -> Tokenizer:
    """Byte-level BPE as Qwen2's: trained with no cap on merges, so that every word ends as one token."""
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(f"{NUMBER}|{PRETOKENIZE_REGEX}"), behavior="isolated"),
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


def known_words() -> list[str]:
    """In small letters, in a fixed order: those of WORDS, of what the model says and of what Longtake asks it."""
    texts = [WORDS, *COLOURS, *SHAPES, *PROMPTS, DEFAULT_MERGE_INSTRUCTION, _an_example_of_each_prompt()]
    return sorted({word.lower() for text in texts for word in re.findall(r"[A-Za-z]+", text)})


def _an_example_of_each_prompt() -> str:
    note = Note(0.0, 1.0, "")
    frames = np.zeros(1)
    chunk = Chunk(0, 0.0, 1.0, frames.astype(np.int64), frames, 0.0, 1, 1)
    return chunk_prompt(Prompt(""), chunk, num_chunks=2).text + merge_prompt(Prompt(""), "", (note, note)).text


def _spellings() -> Iterator[str]:
    for word in known_words():
        yield from (word, f" {word}", word.capitalize(), f" {word.capitalize()}")
    for digits in (1, 2, 3):
        yield from (f"{number:0{digits}}" for number in range(10**digits))
    yield from (f".{tenth}" for tenth in range(10))
    yield from (". 0", " seconds>")


def new_model(tokenizer: Tokenizer, seed: int) -> Qwen3VLForConditionalGeneration:
    """Untrained, in float32: in bfloat16 most steps of training would be lost in rounding."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen3VLForConditionalGeneration(Qwen3VLConfig(**_model_config(tokenizer)))  # type: ignore[no-untyped-call]
        model.float()  # type: ignore[no-untyped-call]
        # Far apart from the start: what copies a rare number must tell it from its neighbours.
        torch.nn.init.normal_(model.get_input_embeddings().weight, std=EMBEDDING_STD)  # type: ignore[arg-type]
    return model


def write_checkpoint(model: Qwen3VLForConditionalGeneration, tokenizer: Tokenizer, directory: Path) -> Path:
    """Writes all that an engine loads, the weights in bfloat16, into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    weights = {name: value.to(torch.bfloat16) for name, value in model.state_dict().items()}
    model.save_pretrained(directory, state_dict=weights)
    # safetensors keeps its file to its owner; whoever serves the model may be another user.
    (directory / "model.safetensors").chmod(0o644)
    tokenizer.save(str(directory / "tokenizer.json"))
    (directory / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    # After save_pretrained, whose own config.json names fields (rope_parameters) that older readers miss.
    _write_json(directory / "config.json", _model_config(tokenizer))
    _write_json(directory / "generation_config.json", _generation_config(tokenizer))
    _write_json(directory / "tokenizer_config.json", _tokenizer_config(tokenizer))
    _write_json(directory / "preprocessor_config.json", _image_processor_config())
    _write_json(directory / "video_preprocessor_config.json", _video_processor_config())
    return directory


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
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 64,
            "hidden_act": "silu",
            "attention_bias": False,
            "attention_dropout": 0.0,
            "initializer_range": 0.02,
            "rms_norm_eps": 1e-6,
            "max_position_embeddings": MAX_MODEL_LEN,
            "rope_theta": 5000000,
            # Halves of head_dim for time, height, width: half of the 8B's [24, 20, 20].
            "rope_scaling": {"mrope_interleaved": True, "mrope_section": [12, 10, 10], "rope_type": "default"},
            "tie_word_embeddings": True,
            "use_cache": True,
        },
        "vision_config": {
            "model_type": "qwen3_vl",
            **PATCHES,
            "spatial_merge_size": SPATIAL_MERGE,
            "in_channels": 3,
            "depth": 2,
            "deepstack_visual_indexes": [0, 1],
            "hidden_size": 64,
            "intermediate_size": 256,
            "num_heads": 4,
            "num_position_embeddings": 144,
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
        "do_sample": False,  # it knows one answer
    }


def _tokenizer_config(tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",  # Qwen2Tokenizer would put its own splitting in place of ours
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
        "merge_size": SPATIAL_MERGE,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
