/* Words of the page, English and Japanese. Elements name theirs by data-i18n attributes. */

import { memory } from "./dom.js";

const words = {
  en: {
    skip: "Skip to the captions",
    watch: "Watch",
    useCamera: "This camera",
    stopCamera: "Stop camera",
    useFile: "A file…",
    theme: "Light or dark",
    dismiss: "Dismiss",
    picture: "Picture",
    empty: "Choose a stream, this computer’s camera, or a file.",
    connecting: "Waiting for the first picture…",
    clientAway: "Nobody sends pictures to this stream now.",
    overEmpty: "This stream has ended.",
    noPicture: "No picture was kept of this moment.",
    backToLive: "Back to live",
    strip: "Captions along time",
    boxes: "Boxes",
    settings: "Settings",
    end: "End stream",
    endAsk: (id) => `End “${id}” for everyone?`,
    endText: "Its captions stay, and can be searched.",
    captions: "Captions",
    search: "Search",
    searchHint: "Find a moment: red car, taxi, a person…",
    close: "Close",
    waiting: "Captions appear here as they come.",
    noCaptions: "There are no captions.",
    newCaptions: (n) => (n === 1 ? "1 new caption" : `${n} new captions`),
    nowEmpty: "Watching…",
    keySearch: "search",
    keyMove: "move",
    keyShow: "show",
    keyLive: "live",
    keyBoxes: "boxes",
    keyTitle: "This server wants a key",
    keyText: "It is kept for this browser tab only.",
    key: "Key",
    cancel: "Cancel",
    use: "Use it",
    noStreams: "No streams yet",
    running: "Running",
    past: "Ended",
    failed: "failed",
    clientIsAway: "waiting",
    starting: "starting",
    live: "Live",
    found: (n) => (n === 1 ? "1 moment" : `${n} moments`),
    foundNone: "Nothing was found",
    away: "The server does not answer",
    lost: "The connection to the server is lost; it is tried again.",
    noCamera: (why) => `The camera cannot be used: ${why}`,
    cameraDenied: "this page was not allowed to use it",
    cameraNone: "there is none",
    cameraBusy: "another program has it",
    cameraInsecure: "browsers give it to pages over https or on localhost only",
    uploading: (percent) => `Uploading, ${percent} %`,
    uploadCut: "The upload was cut off",
    httpError: (status) => `The server answered ${status}`,
    counts: (c) => [`${c.encoded} of ${c.received} frames looked at`, c.gated && `${c.gated} unchanged`, c.dropped && `${c.dropped} dropped`]
      .filter(Boolean).join(" · "),
    builtIn: "Built-in captions",
    backendOk: (name) => `Captions: ${name}`,
    backendDegraded: (name) => `${name} is slow or failing`,
    backendDown: (name) => `${name} is down: built-in captions`,
    unsaved: "not saved",
    saved: "Saved",
    groupWords: "Captions",
    groupLook: "Frames",
    groupFind: "Look for",
    fps: "Looked at per second",
    lang: "Language",
    prompt: "What captions are to tell",
    promptHint: "Used when a model writes the captions",
    caption_max: "Longest, seconds",
    caption_min: "Shortest change, seconds",
    gate_mse: "Change that counts as new",
    frame_batch_size: "In a batch",
    backend: "Written by",
    backend_auto: "Best there is",
    backend_template: "Built-in",
    backend_gemini: "Gemini",
    backend_vertex: "Vertex AI",
    backend_openai: "OpenAI-compatible model",
    objects: "Things",
    faces: "Faces",
    text: "Text",
    pose: "Postures",
    scenes: "Scenes",
  },
  ja: {
    skip: "字幕へ移動",
    watch: "映像",
    useCamera: "このカメラ",
    stopCamera: "カメラを停止",
    useFile: "ファイル…",
    theme: "明るい／暗い",
    dismiss: "閉じる",
    picture: "映像",
    empty: "ストリーム、このパソコンのカメラ、またはファイルを選んでください。",
    connecting: "最初の映像を待っています…",
    clientAway: "今は誰もこのストリームに映像を送っていません。",
    overEmpty: "このストリームは終了しました。",
    noPicture: "この場面の画像は保存されていません。",
    backToLive: "ライブに戻る",
    strip: "時間軸の字幕",
    boxes: "枠",
    settings: "設定",
    end: "ストリームを終了",
    endAsk: (id) => `「${id}」を全員に対して終了しますか？`,
    endText: "字幕は残り、検索できます。",
    captions: "字幕",
    search: "検索",
    searchHint: "場面を探す：taxi、car、person…",
    close: "閉じる",
    waiting: "字幕が届くとここに表示されます。",
    noCaptions: "字幕はありません。",
    newCaptions: (n) => `新しい字幕 ${n} 件`,
    nowEmpty: "観察中…",
    keySearch: "検索",
    keyMove: "移動",
    keyShow: "表示",
    keyLive: "ライブ",
    keyBoxes: "枠",
    keyTitle: "このサーバーにはキーが必要です",
    keyText: "キーはこのタブの中だけに保存されます。",
    key: "キー",
    cancel: "キャンセル",
    use: "使う",
    noStreams: "ストリームはまだありません",
    running: "配信中",
    past: "終了",
    failed: "失敗",
    clientIsAway: "待機中",
    starting: "開始中",
    live: "ライブ",
    found: (n) => `${n} 件`,
    foundNone: "見つかりませんでした",
    away: "サーバーが応答しません",
    lost: "サーバーとの接続が切れました。再接続しています。",
    noCamera: (why) => `カメラを使えません：${why}`,
    cameraDenied: "このページでの使用が許可されていません",
    cameraNone: "カメラがありません",
    cameraBusy: "ほかのプログラムが使用中です",
    cameraInsecure: "https または localhost のページでのみ使えます",
    uploading: (percent) => `アップロード中 ${percent} %`,
    uploadCut: "アップロードが途中で切れました",
    httpError: (status) => `サーバーの応答：${status}`,
    counts: (c) => [`${c.received} フレーム中 ${c.encoded} を解析`, c.gated && `変化なし ${c.gated}`, c.dropped && `破棄 ${c.dropped}`]
      .filter(Boolean).join("・"),
    builtIn: "内蔵の字幕",
    backendOk: (name) => `字幕：${name}`,
    backendDegraded: (name) => `${name} が遅いか、失敗しています`,
    backendDown: (name) => `${name} は停止中：内蔵の字幕`,
    unsaved: "未保存",
    saved: "保存しました",
    groupWords: "字幕",
    groupLook: "フレーム",
    groupFind: "探すもの",
    fps: "1 秒あたりの解析数",
    lang: "言語",
    prompt: "字幕に書いてほしいこと",
    promptHint: "モデルが字幕を書くときに使われます",
    caption_max: "最長（秒）",
    caption_min: "変化の最短（秒）",
    gate_mse: "新しいとみなす変化量",
    frame_batch_size: "一括の数",
    backend: "書き手",
    backend_auto: "使える最良のもの",
    backend_template: "内蔵",
    backend_gemini: "Gemini",
    backend_vertex: "Vertex AI",
    backend_openai: "OpenAI 互換モデル",
    objects: "もの",
    faces: "顔",
    text: "文字",
    pose: "姿勢",
    scenes: "場面",
  },
};

let current = memory.get("language") ?? (navigator.language.startsWith("ja") ? "ja" : "en");
if (!words[current]) current = "en";
let names = {};

export function language() {
  return current;
}

export function t(name, ...values) {
  const word = words[current][name] ?? words.en[name] ?? name;
  return typeof word === "function" ? word(...values) : word;
}

/* A thing's name in the reader's language. */
export function nameOf(name) {
  return (current === "ja" && names[name]) || name;
}

async function loadNames() {
  if (current !== "ja" || Object.keys(names).length > 0) return;
  try {
    names = await (await fetch("/names-ja.json")).json();
  } catch {
    /* English names are better than none */
  }
}

export function translate(root = document) {
  document.documentElement.lang = current;
  for (const node of root.querySelectorAll("[data-i18n]")) node.textContent = t(node.dataset.i18n);
  for (const node of root.querySelectorAll("[data-i18n-label]")) {
    node.setAttribute("aria-label", t(node.dataset.i18nLabel));
    if (node.title) node.title = t(node.dataset.i18nLabel);
  }
  for (const node of root.querySelectorAll("[data-i18n-placeholder]"))
    node.placeholder = t(node.dataset.i18nPlaceholder);
  loadNames();
}

export function setLanguage(next) {
  current = next;
  memory.set("language", next);
}
