"""What services answer: whole replies, streams of parts, and what models say, with their faults."""
import json
import math

KEY = "test-key-0123456789-abcdefghijklmnop"
ANSWER = "The dog runs at 0:12. 犬が伏せる。"
ECHO = ("\x1b[31mred\x1b[0m \x1b]0;title\x07 --> <b>bold</b> & <script>alert(1)</script> \u202egnp\u2066 "
        "<|im_start|>system [INST] <start_of_turn>\r\n\tline\x00".replace("\x00", ""))


# ---- What the model says ----

def good_answer(summary):
    last = summary["n_frames"] - 1
    return {"events": [
        {"start_frame": 0, "end_frame": last // 2, "text": "A dog runs across a yard.", "confidence": 0.9},
        {"start_frame": last // 2, "end_frame": last, "text": "The dog lies down.", "confidence": 0.6}]}


def model_text(fault, summary):
    good = good_answer(summary)
    event = good["events"][0]
    whole = json.dumps(good)
    if fault == "cut-json":
        return whole[:len(whole) // 2]
    if fault == "wrong-schema":
        return json.dumps({"captions": [{"from": "0", "to": "1", "caption": "A dog."}]})
    if fault == "wrong-indices":
        return json.dumps({"events": [dict(event, end_frame=summary["n_frames"])]})
    if fault == "not-json":
        return "I see a dog. I am sorry, but I cannot answer in JSON."
    if fault == "fenced":
        return f"Here is the JSON:\n```json\n{json.dumps(good, indent=1)}\n```\n"
    if fault == "empty-events":
        return '{"events":[]}'
    if fault == "echo":
        return json.dumps({"events": [dict(event, text=ECHO)]})
    if fault == "key-in-text":
        return json.dumps({"events": [dict(event, text=f"The key is {KEY}.")], "x": 1})[:-3]
    if fault == "long-text":
        return json.dumps({"events": [dict(event, text="A dog. " * 2000)]})
    return whole


def google_error(status, name, message, details=()):
    return {"error": {"code": status, "status": name, "message": message, "details": list(details)}}


def google_reply(fault, summary, text):
    usage = {"promptTokenCount": 1000, "candidatesTokenCount": 50, "thoughtsTokenCount": 7, "totalTokenCount": 1057}
    reply = {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP"}],
             "usageMetadata": usage, "modelVersion": "test-model-001", "responseId": "r1"}
    candidate = reply["candidates"][0]
    if fault in ("safety", "recitation"):
        candidate["finishReason"] = fault.upper()
        del candidate["content"]
    elif fault == "prompt-blocked":
        del reply["candidates"]
        reply["promptFeedback"] = {"blockReason": "PROHIBITED_CONTENT"}
    elif fault == "max-tokens":
        candidate["finishReason"] = "MAX_TOKENS"
        candidate["content"]["parts"] = [{"text": text[:len(text) // 2]}]
    elif fault == "max-tokens-empty":
        candidate["finishReason"] = "MAX_TOKENS"
        del candidate["content"]
    elif fault == "no-parts":
        candidate["content"] = {"role": "model"}
    elif fault == "thoughts":
        half = len(text) // 2
        candidate["content"]["parts"] = [{"text": "{ I think", "thought": True}, {"text": text[:half]}, {"text": text[half:]}]
    elif fault == "array-wrap":
        return [reply]
    return reply


def openai_reply(fault, summary, text):
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    if fault == "safety":
        message["content"], choice["finish_reason"] = None, "content_filter"
    elif fault == "recitation":
        message["content"], message["refusal"] = None, "I cannot help with that."
    elif fault in ("prompt-blocked", "no-parts"):
        message["content"] = ""
    elif fault == "max-tokens":
        message["content"], choice["finish_reason"] = text[:len(text) // 2], "length"
    elif fault == "max-tokens-empty":
        message["content"], choice["finish_reason"] = None, "length"
    elif fault == "thoughts":
        message["content"] = f"<think>It is a dog.</think>\n{text}"
        message["reasoning_content"] = "It is a dog {."
    elif fault == "array-wrap":
        message["content"] = [{"type": "text", "text": text}]
    return {"id": "c1", "object": "chat.completion", "model": "test-model-001", "choices": [choice],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 57, "total_tokens": 1057}}


# ---- Candidates for the first token ----

def logarithm(probability):
    return math.log(probability) if probability > 0 else -9999.0


def google_candidates(reply, top):
    tokens = [{"token": token, "tokenId": i, "logProbability": logarithm(p)} for i, (token, p) in enumerate(top)]
    later = [{"token": "No", "tokenId": 0, "logProbability": 0.0}]
    for candidate in reply["candidates"]:
        candidate["logprobsResult"] = {"topCandidates": [{"candidates": tokens}, {"candidates": later}],
                                       "chosenCandidates": tokens[:1] + later}


def openai_candidates(reply, top):
    tokens = [{"token": token, "logprob": logarithm(p), "bytes": list(token.encode())} for token, p in top]
    first = {**(tokens or [{"token": "?", "logprob": 0.0, "bytes": []}])[0], "top_logprobs": tokens}
    for choice in reply["choices"]:
        choice["logprobs"] = {"content": [first], "refusal": None}


# ---- Streams ----

def google_part(text, finish=None, usage=True):
    part = {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}}], "modelVersion": "test-model-001"}
    if finish:
        part["candidates"][0]["finishReason"] = finish
    if usage:
        part["usageMetadata"] = {"promptTokenCount": 1000, "candidatesTokenCount": 50, "thoughtsTokenCount": 7}
    return part


def openai_part(text, finish=None):
    return {"id": "c1", "object": "chat.completion.chunk", "model": "test-model-001", "error": None,
            "choices": [{"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}]}


def stream_parts(fault, google, text, usage):
    """The events of a streamed answer, and how it goes on when they are sent: "", "cut", "hang", "reset"."""
    finishes = ("STOP", "MAX_TOKENS", "SAFETY") if google else ("stop", "length", "content_filter")
    size = 3 if fault == "echo" else max(1, len(text) // 5 + 1)
    pieces = [text[i:i + size] for i in range(0, len(text), size)]
    part = google_part if google else openai_part
    half = [part(piece) for piece in pieces[:len(pieces) // 2]]
    error = {"error": {"code": 503, "message": "The model is overloaded", "status": "UNAVAILABLE"}}
    after = {"cut-stream": "cut", "stall-stream": "hang", "reset-stream": "reset"}.get(fault, "")
    if after or fault == "quiet-end":
        return half, after
    if fault == "error-first":
        return [error], ""
    if fault == "error-later":
        return half + [error], ""
    if fault == "garbage-first":
        return ["{not json"], ""
    if fault == "garbage-later":
        return half + ["{not json"], ""
    if fault == "safety":
        return ([{"promptFeedback": {"blockReason": "SAFETY"}}] if google else [part("", finishes[2])]), ""
    if fault == "safety-later":
        return half + [part("", finishes[2])], ""
    if fault == "huge-stream":
        return [part("word " * 2000) for _ in range(1000)], ""
    if fault == "huge-line":
        return [part("a" * 10_000_000)], ""
    if fault == "empty":
        pieces = ["", " \n"]
    if fault == "thoughts":
        if google:
            thought = google_part("I think it is a dog")
            thought["candidates"][0]["content"]["parts"][0]["thought"] = True
            return [thought] + [part(piece) for piece in pieces] + [part("", "STOP")], ""
        pieces = ["<th", "ink>It is a ", "dog</thi", "nk>\n\n"] + pieces
    finish = finishes[1] if fault == "max-tokens" else finishes[0]
    parts = [part(piece) for piece in pieces] + [part("", finish)]
    if not google and usage:
        parts.append({"model": "test-model-001", "choices": [],
                      "usage": {"prompt_tokens": 1000, "completion_tokens": 57, "total_tokens": 1057}})
    if not google and fault != "no-done":
        parts.append("[DONE]")
    return parts, ""
