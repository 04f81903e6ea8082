"""The official SDKs behind the common interface of ``sdk_talk.py``.

Each class keeps its history as the SDK's documentation recommends: in the SDK's own objects, sent back unchanged.  Nothing
is patched; the only setting is the address.  The differences between SDKs are hidden here, so that a test is written once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import anthropic
import ollama
import openai
from google import genai
from google.genai import errors, types
from pydantic import BaseModel
from sdk_talk import Call, Reply, Result, Talk, Trouble, data_url, finish, in_base64


class Chat(Talk):
    """``openai``, chat completions."""

    @staticmethod
    def connect(url: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{url}/v1", api_key="any text", max_retries=0)

    def say(self, text: str, image: bytes = b"") -> None:
        parts: list[Any] = [{"type": "text", "text": text}]
        if image:
            parts.append({"type": "image_url", "image_url": {"url": data_url(image)}})
        self.history.append({"role": "user", "content": parts if image else text})

    def hand_in(self, results: Sequence[Result]) -> None:
        """Tool messages hold only text; images follow in a user message."""
        for result in results:
            text = f"Error: {result.text}" if result.failed else result.text
            self.history.append({"role": "tool", "tool_call_id": result.call.id, "content": text})
        for result in results:
            if result.image:
                self.say(f"Image of {result.call.id}", result.image)

    def _settings(self) -> dict[str, Any]:
        given: dict[str, Any] = {"model": self.model, "messages": self.history}
        if self.system:
            given["messages"] = [{"role": "developer", "content": self.system}, *self.history]
        if self.tools:
            given["tools"] = [
                {"type": "function", "function": {"name": t.name, "description": t.about, "parameters": t.schema}}
                for t in self.tools
            ]
        if self.must:
            given["tool_choice"] = {"type": "function", "function": {"name": self.must}}
        if self.think:
            given["reasoning_effort"] = "high"
        if self.schema:
            given["response_format"] = self.schema
        return given

    def hear(self) -> Reply:
        try:
            answer = self._streamed() if self.stream else self._whole()
        except openai.LengthFinishReasonError as error:
            answer = error.completion
        except openai.APIError as error:
            raise _of_openai(error) from error
        choice = answer.choices[0]
        self.history.append(choice.message)
        calls = [Call(c.id, c.function.name, json.loads(c.function.arguments)) for c in choice.message.tool_calls or ()]
        assert answer.usage is not None
        return Reply(
            choice.message.content or "",
            getattr(choice.message, "reasoning_content", None) or "",
            calls,
            finish(choice.finish_reason, calls),
            (answer.usage.prompt_tokens, answer.usage.completion_tokens),
            getattr(choice.message, "parsed", None),
        )

    def _whole(self) -> Any:
        if self.schema:
            return self.client.chat.completions.parse(**self._settings())
        return self.client.chat.completions.create(**self._settings())

    def _streamed(self) -> Any:
        options: Any = {"include_usage": True}
        with self.client.chat.completions.stream(**self._settings(), stream_options=options) as stream:
            return stream.get_final_completion()


def _of_openai(error: openai.APIError | anthropic.APIError) -> Trouble:
    """Convert an error, also of the other SDK, which has the same classes; one inside a stream has no status."""
    if isinstance(error, (openai.APIStatusError, anthropic.APIStatusError)):
        return Trouble(error.status_code, error.message, type(error).__name__, error.response.headers.get("retry-after"))
    return Trouble(0, error.message, type(error).__name__)


class Responses(Talk):
    """``openai``, responses; the client keeps the state, not the vendor."""

    @staticmethod
    def connect(url: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{url}/v1", api_key="any text", max_retries=0)

    def say(self, text: str, image: bytes = b"") -> None:
        parts: list[Any] = [{"type": "input_text", "text": text}]
        if image:
            parts.append({"type": "input_image", "image_url": data_url(image), "detail": "auto"})
        self.history.append({"role": "user", "content": parts})

    def hand_in(self, results: Sequence[Result]) -> None:
        for result in results:
            output: Any = f"Error: {result.text}" if result.failed else result.text
            if result.image:
                picture = {"type": "input_image", "image_url": data_url(result.image)}
                output = [{"type": "input_text", "text": result.text}, picture]
            self.history.append({"type": "function_call_output", "call_id": result.call.id, "output": output})

    def _settings(self) -> dict[str, Any]:
        given: dict[str, Any] = {"model": self.model, "input": self.history, "store": False}
        if self.system:
            given["instructions"] = self.system
        if self.tools:
            given["tools"] = [
                {"type": "function", "name": t.name, "description": t.about, "parameters": t.schema, "strict": False}
                for t in self.tools
            ]
        if self.must:
            given["tool_choice"] = {"type": "function", "name": self.must}
        if self.think:
            given["reasoning"] = {"effort": "high", "summary": "auto"}
            given["include"] = ["reasoning.encrypted_content"]
        if self.schema:
            given["text_format"] = self.schema
        return given

    def hear(self) -> Reply:
        try:
            answer = self._streamed() if self.stream else self._whole()
        except openai.APIError as error:
            raise _of_openai(error) from error
        self.history += answer.output
        calls = [Call(i.call_id, i.name, json.loads(i.arguments)) for i in answer.output if i.type == "function_call"]
        thinking = "".join(part.text for i in answer.output if i.type == "reasoning" for part in i.summary)
        return Reply(
            answer.output_text,
            thinking,
            calls,
            finish(answer.status, calls),
            (answer.usage.input_tokens, answer.usage.output_tokens),
            getattr(answer, "output_parsed", None),
        )

    def _whole(self) -> Any:
        if self.schema:
            return self.client.responses.parse(**self._settings())
        return self.client.responses.create(**self._settings())

    def _streamed(self) -> Any:
        with self.client.responses.stream(**self._settings()) as stream:
            for event in stream:
                if event.type in ("response.completed", "response.incomplete"):
                    return event.response
                if event.type == "response.failed":
                    raise Trouble(0, event.response.error.message, event.type)
                if event.type == "error":
                    raise Trouble(0, event.message, event.type)
        raise AssertionError("the stream has no end")


class Messages(Talk):
    """``anthropic``."""

    @staticmethod
    def connect(url: str) -> anthropic.Anthropic:
        return anthropic.Anthropic(base_url=url, api_key="any text", max_retries=0)

    @staticmethod
    def _image(image: bytes) -> dict[str, Any]:
        return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": in_base64(image)}}

    def say(self, text: str, image: bytes = b"") -> None:
        parts: list[Any] = [{"type": "text", "text": text}]
        self.history.append({"role": "user", "content": [*parts, self._image(image)] if image else text})

    def hand_in(self, results: Sequence[Result]) -> None:
        parts = []
        for result in results:
            inner: list[Any] = [{"type": "text", "text": result.text}]
            if result.image:
                inner.append(self._image(result.image))
            part = {"type": "tool_result", "tool_use_id": result.call.id, "content": inner}
            parts.append({**part, "is_error": True} if result.failed else part)
        self.history.append({"role": "user", "content": parts})

    def _settings(self) -> dict[str, Any]:
        given: dict[str, Any] = {"model": self.model, "messages": self.history, "max_tokens": 8000}
        if self.system:
            given["system"] = self.system
        if self.tools:
            given["tools"] = [{"name": t.name, "description": t.about, "input_schema": t.schema} for t in self.tools]
        if self.must:
            given["tool_choice"] = {"type": "tool", "name": self.must}
        if self.think:
            given["thinking"] = {"type": "enabled", "budget_tokens": 2048}
        if self.schema:
            given["output_format"] = self.schema
        return given

    def hear(self) -> Reply:
        try:
            answer = self._streamed() if self.stream else self._whole()
        except anthropic.APIError as error:
            raise _of_openai(error) from error
        self.history.append({"role": "assistant", "content": answer.content})
        calls = [Call(part.id, part.name, part.input) for part in answer.content if part.type == "tool_use"]
        return Reply(
            "".join(part.text for part in answer.content if part.type == "text"),
            "".join(part.thinking for part in answer.content if part.type == "thinking"),
            calls,
            finish(answer.stop_reason, calls),
            (answer.usage.input_tokens, answer.usage.output_tokens),
            getattr(answer, "parsed_output", None),
        )

    def _whole(self) -> Any:
        return (self.client.messages.parse if self.schema else self.client.messages.create)(**self._settings())

    def _streamed(self) -> Any:
        with self.client.messages.stream(**self._settings()) as stream:
            return stream.get_final_message()


class Gemini(Talk):
    """``google-genai``."""

    @staticmethod
    def connect(url: str) -> genai.Client:
        return genai.Client(api_key="any text", http_options=types.HttpOptions(base_url=url))

    def say(self, text: str, image: bytes = b"") -> None:
        parts = [types.Part.from_text(text=text)]
        if image:
            parts.append(types.Part.from_bytes(data=image, mime_type="image/png"))
        self.history.append(types.Content(role="user", parts=parts))

    def hand_in(self, results: Sequence[Result]) -> None:
        self.history.append(types.Content(role="user", parts=[self._result(result) for result in results]))

    @staticmethod
    def _result(result: Result) -> types.Part:
        blob = types.FunctionResponseBlob(mime_type="image/png", data=result.image)
        return types.Part(
            function_response=types.FunctionResponse(
                id=result.call.id or None,
                name=result.call.name,
                response={"error" if result.failed else "output": result.text},
                parts=[types.FunctionResponsePart(inline_data=blob)] if result.image else None,
            )
        )

    def _settings(self) -> types.GenerateContentConfig:
        given = types.GenerateContentConfig(system_instruction=self.system or None)
        if self.tools:
            declared = [
                types.FunctionDeclaration(name=t.name, description=t.about, parameters_json_schema=t.schema)
                for t in self.tools
            ]
            given.tools = [types.Tool(function_declarations=declared)]
        if self.must:
            only = types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY, allowed_function_names=[self.must])
            given.tool_config = types.ToolConfig(function_calling_config=only)
        if self.think:
            given.thinking_config = types.ThinkingConfig(include_thoughts=True, thinking_budget=2048)
        if self.schema:
            given.response_mime_type, given.response_schema = "application/json", self.schema
        return given

    def hear(self) -> Reply:
        asked: Any = {"model": self.model, "contents": self.history, "config": self._settings()}
        try:
            if self.stream:
                answers = list(self.client.models.generate_content_stream(**asked))
            else:
                answers = [self.client.models.generate_content(**asked)]
        except errors.APIError as error:
            fields = getattr(error.response, "headers", {})
            raise Trouble(error.code, error.message or "", type(error).__name__, fields.get("retry-after")) from error
        candidates = [candidate for answer in answers for candidate in answer.candidates or ()]
        parts = [part for c in candidates for part in (c.content.parts if c.content and c.content.parts else ())]
        self.history.append(types.Content(role="model", parts=parts))
        calls = [Call(f.id or "", f.name or "", f.args or {}) for p in parts if (f := p.function_call)]
        usage = next(answer.usage_metadata for answer in reversed(answers) if answer.usage_metadata)
        ending = next(c.finish_reason for c in reversed(candidates) if c.finish_reason)
        return Reply(
            "".join(part.text or "" for part in parts if not part.thought),
            "".join(part.text or "" for part in parts if part.thought),
            calls,
            finish(ending.name, calls),
            (usage.prompt_token_count or 0, (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)),
            self._parsed(parts),
        )

    def _parsed(self, parts: Sequence[types.Part]) -> BaseModel | None:
        """Parse a stream in the program, as the SDK's documentation recommends."""
        return self.schema.model_validate_json("".join(part.text or "" for part in parts)) if self.schema else None


class Ollama(Talk):
    """``ollama``: results carry no id, only the tool's name."""

    @staticmethod
    def connect(url: str) -> ollama.Client:
        return ollama.Client(host=url)

    def say(self, text: str, image: bytes = b"") -> None:
        message: dict[str, Any] = {"role": "user", "content": text}
        self.history.append({**message, "images": [image]} if image else message)

    def hand_in(self, results: Sequence[Result]) -> None:
        for result in results:
            text = f"Error: {result.text}" if result.failed else result.text
            message: dict[str, Any] = {"role": "tool", "content": text, "tool_name": result.call.name}
            self.history.append({**message, "images": [result.image]} if result.image else message)

    def _settings(self) -> dict[str, Any]:
        system = [{"role": "system", "content": self.system}] if self.system else []
        given: dict[str, Any] = {"model": self.model, "messages": [*system, *self.history], "think": self.think or None}
        if self.tools:
            given["tools"] = [
                {"type": "function", "function": {"name": t.name, "description": t.about, "parameters": t.schema}}
                for t in self.tools
            ]
        if self.schema:
            given["format"] = self.schema.model_json_schema()
        return given

    def hear(self) -> Reply:
        try:
            answers = [*self.client.chat(**self._settings(), stream=True)] if self.stream else [self._whole()]
        except ollama.ResponseError as error:
            raise Trouble(error.status_code, error.error, type(error).__name__) from error
        calls = [made for answer in answers for made in answer.message.tool_calls or ()]
        text = "".join(answer.message.content or "" for answer in answers)
        thinking = "".join(answer.message.thinking or "" for answer in answers)
        message = {"role": "assistant", "content": text, "thinking": thinking, "tool_calls": calls}
        self.history.append(message if self.stream else answers[0].message)
        named = [Call("", made.function.name, dict(made.function.arguments)) for made in calls]
        last = answers[-1]
        tokens = last.prompt_eval_count or 0, last.eval_count or 0
        parsed = self.schema.model_validate_json(text) if self.schema else None
        return Reply(text, thinking, named, finish(last.done_reason, named), tokens, parsed)

    def _whole(self) -> ollama.ChatResponse:
        return self.client.chat(**self._settings(), stream=False)


TALKS: dict[str, type[Talk]] = {
    "openai-chat": Chat,
    "openai-responses": Responses,
    "anthropic": Messages,
    "gemini": Gemini,
    "ollama": Ollama,
}
