"""What services want of a request: each check gives what is wrong with one, and what it says."""
import base64
import json
import re

STAMP = re.compile(r"^Frame (\d+), (\d+\.\d\d) s:$")
ASK_STAMP = re.compile(r"^Picture (\d+), (\d+:)?\d+:\d\d(\.\d+)?:$")


# ---- What a request must be ----

class Problems(list):
    def expect(self, good, what):
        if not good:
            self.append(what)
        return bool(good)


def check_jpeg(problems, text):
    try:
        picture = base64.b64decode(text, validate=True)
    except ValueError:
        return problems.expect(False, "a picture is not base64")
    return problems.expect(picture[:2] == b"\xff\xd8" and picture[-2:] == b"\xff\xd9", "a picture is not a JPEG")


def check_order(problems, parts):
    """parts: ("text", text) and ("jpeg", base64). Each picture follows its stamp. Returns a summary."""
    frames, texts = [], []
    for before, (kind, value) in zip([("text", "")] + parts, parts):
        if kind == "text":
            problems.expect("\x1b" not in value, "control characters in the prompt")
            texts.append(value)
            continue
        check_jpeg(problems, value)
        stamp = STAMP.match(before[1]) if before[0] == "text" else None
        if problems.expect(stamp, "a picture has no stamp before it"):
            frames.append(int(stamp.group(1)))
    problems.expect(frames, "there is no picture")
    problems.expect(frames == sorted(set(frames)), "pictures are not in order")
    said = re.search(r"has (\d+) frames", texts[0] if texts else "")
    n_frames = int(said.group(1)) if said else 0
    problems.expect(n_frames > 0, "the prompt does not say how many frames there are")
    problems.expect(all(f < n_frames for f in frames), "a frame's number is too large")
    return {"frames": frames, "n_frames": n_frames, "texts": texts}


def check_material(problems, texts):
    """The material is one JSON object on its own line, whatever is in it."""
    found = re.search(r"^Material: (.*)$", texts[0], re.M) if texts else None
    if not problems.expect(found, "the prompt has no material"):
        return {}
    line = found.group(1)
    problems.expect(not set("<>&[]") & set(line.replace("\\u", "")), "marks in the material are not escaped")
    try:
        material = json.loads(line)
    except ValueError:
        problems.append("the material is not JSON")
        return {}
    problems.expect(all(isinstance(v, str) and v for v in material.values()), "material has to be texts")
    problems.expect(set(material) <= {"earlier", "running", "known", "wish"}, "unknown material")
    return material


def check_schema(problems, schema, names):
    try:
        events = schema["properties"]["events"]
        item = events["items"]
        problems.expect([schema["type"], events["type"], item["type"]] == names, "the schema's types")
        problems.expect(set(item["required"]) == {"start_frame", "end_frame", "text", "confidence"}, "required members")
        problems.expect(set(item["properties"]) == set(item["required"]), "the schema's members")
        return item
    except (KeyError, TypeError) as error:
        problems.append(f"the schema lacks {error}")
        return {}


def check_question(problems, system, turns, parts):
    """A question: its text and pictures, and the turns before it. Returns a summary."""
    texts, times = [], []
    for before, (kind, value) in zip([("text", "")] + parts, parts):
        if kind == "text":
            problems.expect("\x1b" not in value, "control characters in the prompt")
            texts.append(value)
            continue
        check_jpeg(problems, value)
        if problems.expect(before[0] == "text" and ASK_STAMP.match(before[1]), "a picture has no stamp before it"):
            times.append(before[1].partition(", ")[2].rstrip(":"))
    found = re.search(r"^Material: (.*)$", texts[0], re.M) if texts else None
    material = json.loads(found.group(1)) if found else {}
    problems.expect(material.get("question"), "there is no question")
    problems.expect(not found or not set("<>&[]") & set(found.group(1).replace("\\u", "")), "marks in the material")
    problems.expect(set(material) <= {"captions", "question"}, "unknown material")
    for text in [system] + [text for _, text in turns]:
        problems.expect(not set("<>[]\x1b") & set(text), "marks in the instructions or in an earlier turn")
    roles = [role for role, _ in turns]
    problems.expect(roles == ["user", "model"] * (len(roles) // 2), f"roles {roles}")
    return {"material": material, "times": times, "turns": [text for _, text in turns], "system": system,
            "opening": texts[0].split("\n")[0] if texts else ""}


def check_google_question(body):
    problems = Problems()
    contents = body["contents"]
    config = body["generationConfig"]
    problems.expect(set(body) == {"systemInstruction", "contents", "generationConfig"}, f"members {sorted(body)}")
    problems.expect(not {"responseMimeType", "responseSchema"} & set(config), "a question wants free text")
    turns = [(turn["role"], turn["parts"][0]["text"]) for turn in contents[:-1]]
    problems.expect(contents[-1]["role"] == "user", "the last turn is the user's")
    parts = [("text", p["text"]) if "text" in p else ("jpeg", p["inlineData"]["data"]) for p in contents[-1]["parts"]]
    summary = check_question(problems, body["systemInstruction"]["parts"][0]["text"], turns, parts)
    summary["temperature"] = config.get("temperature")
    summary["tokens_max"] = config.get("maxOutputTokens")
    summary["candidates"] = config.get("logprobs", 0)
    problems.expect(config.get("responseLogprobs", False) == (summary["candidates"] > 0), "responseLogprobs and logprobs")
    problems.expect(summary["candidates"] <= 5, "too many logprobs")
    return problems, summary


def check_openai_question(body):
    problems = Problems()
    system, *turns, user = body["messages"]
    problems.expect(system["role"] == "system" and user["role"] == "user", "roles")
    problems.expect("response_format" not in body, "a question wants free text")
    problems.expect("stream_options" not in body or body["stream"], "stream_options without stream")
    turns = [({"assistant": "model"}.get(turn["role"], turn["role"]), turn["content"]) for turn in turns]
    parts = [("text", p["text"]) if p["type"] == "text" else ("jpeg", p["image_url"]["url"].partition(",")[2])
             for p in user["content"]]
    summary = check_question(problems, system["content"], turns, parts)
    summary["stream"] = body["stream"]
    summary["usage"] = body.get("stream_options", {}).get("include_usage", False)
    summary["temperature"] = body.get("temperature")
    summary["tokens_max"] = body.get("max_tokens", body.get("max_completion_tokens"))
    summary["candidates"] = body.get("top_logprobs", 0)
    problems.expect(body.get("logprobs", False) == (summary["candidates"] > 0), "logprobs and top_logprobs")
    problems.expect(summary["candidates"] <= 20, "too many top_logprobs")
    problems.expect(not summary["candidates"] or (not body["stream"] and summary["tokens_max"] == 1), "one token, whole")
    return problems, summary


def is_question(body):
    """Free text is asked for."""
    if "contents" in body:
        return "responseSchema" not in body["generationConfig"]
    last = body["messages"][-1]["content"][0].get("text", "")
    return "response_format" not in body and '"question":' in last


def check_google(body):
    problems = Problems()
    contents = body.get("contents")
    problems.expect(set(body) == {"systemInstruction", "contents", "generationConfig"}, f"members {sorted(body)}")
    problems.expect(body.get("systemInstruction", {}).get("parts", [{}])[0].get("text"), "no system instruction")
    problems.expect(isinstance(contents, list) and len(contents) == 1 and contents[0]["role"] == "user", "contents")
    parts = []
    for part in contents[0]["parts"]:
        if "text" in part:
            parts.append(("text", part["text"]))
        else:
            problems.expect(part["inlineData"]["mimeType"] == "image/jpeg", "mimeType")
            parts.append(("jpeg", part["inlineData"]["data"]))
    config = body["generationConfig"]
    problems.expect(config.get("responseMimeType") == "application/json", "responseMimeType")
    problems.expect("thinkingConfig" not in config and "safetySettings" not in body, "settings left to the service")
    item = check_schema(problems, config.get("responseSchema", {}), ["OBJECT", "ARRAY", "OBJECT"])
    problems.expect(set(item.get("propertyOrdering", [])) == set(item.get("required", [])), "propertyOrdering")
    summary = check_order(problems, parts)
    summary["material"] = check_material(problems, summary["texts"])
    summary["temperature"] = config.get("temperature")
    summary["tokens_max"] = config.get("maxOutputTokens")
    return problems, summary


def check_openai(body):
    problems = Problems()
    system, user = body["messages"]
    problems.expect(system["role"] == "system" and isinstance(system["content"], str), "system message")
    problems.expect(user["role"] == "user" and isinstance(user["content"], list), "user message")
    problems.expect(body.get("stream") is False, "stream")
    parts = []
    for part in user["content"]:
        if part["type"] == "text":
            parts.append(("text", part["text"]))
        else:
            url = part["image_url"]["url"]
            problems.expect(url.startswith("data:image/jpeg;base64,"), "data URL")
            parts.append(("jpeg", url.partition(",")[2]))
    form = body.get("response_format", {"type": "none"})
    if form["type"] == "json_schema":
        schema = form["json_schema"]
        problems.expect(schema.get("name") and schema.get("strict") is True, "json_schema")
        item = check_schema(problems, schema["schema"], ["object", "array", "object"])
        problems.expect(item.get("additionalProperties") is False, "additionalProperties")
    summary = check_order(problems, parts)
    summary["material"] = check_material(problems, summary["texts"])
    summary["format"] = form["type"]
    summary["temperature"] = body.get("temperature")
    summary["tokens_max"] = body.get("max_tokens", body.get("max_completion_tokens"))
    summary["tokens_name"] = "max_tokens" if "max_tokens" in body else "max_completion_tokens"
    return problems, summary
