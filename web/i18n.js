/* Words of the page, English and Japanese. Elements name theirs by data-i18n attributes. */

const words = {
  en: {
    skip: "Skip to the captions",
    watch: "Watch",
    useCamera: "This camera",
    useFile: "A file…",
    theme: "Light or dark",
    dismiss: "Dismiss",
    picture: "Picture",
    empty: "Choose a stream, this computer’s camera, or a file.",
    backToLive: "Back to live",
    strip: "Captions along time",
    boxes: "Boxes",
    settings: "Settings",
    stop: "Stop",
    captions: "Captions",
    search: "Search",
    searchHint: "Find a moment: red car, taxi, a person…",
    close: "Close",
    waiting: "Captions appear here as they come.",
    keysHelp: "Keys: / search, j k move, Enter show, l live, b boxes",
    keyTitle: "This server wants a key",
    keyText: "It is kept for this browser tab only.",
    key: "Key",
    cancel: "Cancel",
    use: "Use it",
    noStreams: "No streams yet",
    ended: "ended",
    failed: "failed",
    away: "away",
    live: "Live",
    found: (n) => (n === 1 ? "1 moment" : `${n} moments`),
    foundNone: "Nothing was found",
    lost: "The connection to the server is lost; it is tried again.",
    noCamera: "The camera cannot be used: ",
    sending: (n) => `${n} frames sent`,
    uploading: (percent) => `Uploading, ${percent} %`,
    counts: (c) => `${c.received} frames, ${c.encoded} looked at, ${c.gated} like the one before`
      + (c.dropped ? `, ${c.dropped} dropped` : ""),
    template: "Built-in captions",
    unsaved: "not saved",
    saved: "Saved",
    fps: "Frames looked at per second",
    lang: "Language of captions",
    prompt: "What captions are to tell",
    caption_max: "Longest caption, seconds",
    caption_min: "Shortest change, seconds",
    gate_mse: "Change that counts as new",
    frame_batch_size: "Frames in a batch",
    backend: "Who writes captions",
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
    useFile: "ファイル…",
    theme: "明るい／暗い",
    dismiss: "閉じる",
    picture: "映像",
    empty: "ストリーム、このパソコンのカメラ、またはファイルを選んでください。",
    backToLive: "ライブに戻る",
    strip: "時間軸の字幕",
    boxes: "枠",
    settings: "設定",
    stop: "停止",
    captions: "字幕",
    search: "検索",
    searchHint: "場面を探す：車、タクシー、人…",
    close: "閉じる",
    waiting: "字幕が届くとここに表示されます。",
    keysHelp: "キー： / 検索、j k 移動、Enter 表示、l ライブ、b 枠",
    keyTitle: "このサーバーにはキーが必要です",
    keyText: "キーはこのタブの中だけに保存されます。",
    key: "キー",
    cancel: "キャンセル",
    use: "使う",
    noStreams: "ストリームはまだありません",
    ended: "終了",
    failed: "失敗",
    away: "中断",
    live: "ライブ",
    found: (n) => `${n} 件`,
    foundNone: "見つかりませんでした",
    lost: "サーバーとの接続が切れました。再接続しています。",
    noCamera: "カメラを使えません：",
    sending: (n) => `${n} フレーム送信`,
    uploading: (percent) => `アップロード中 ${percent} %`,
    counts: (c) => `${c.received} フレーム、解析 ${c.encoded}、変化なし ${c.gated}`
      + (c.dropped ? `、破棄 ${c.dropped}` : ""),
    template: "内蔵の字幕",
    unsaved: "未保存",
    saved: "保存しました",
    fps: "1 秒あたりの解析フレーム数",
    lang: "字幕の言語",
    prompt: "字幕に書いてほしいこと",
    caption_max: "字幕の最長（秒）",
    caption_min: "変化とみなす最短（秒）",
    gate_mse: "新しいとみなす変化量",
    frame_batch_size: "一括のフレーム数",
    backend: "字幕を書くもの",
    objects: "もの",
    faces: "顔",
    text: "文字",
    pose: "姿勢",
    scenes: "場面",
  },
};

let current = localStorage.getItem("language")
  ?? (navigator.language.startsWith("ja") ? "ja" : "en");

export function language() {
  return current;
}

export function t(name, ...values) {
  const word = words[current][name] ?? words.en[name] ?? name;
  return typeof word === "function" ? word(...values) : word;
}

export function translate(root = document) {
  document.documentElement.lang = current;
  for (const node of root.querySelectorAll("[data-i18n]")) node.textContent = t(node.dataset.i18n);
  for (const node of root.querySelectorAll("[data-i18n-label]"))
    node.setAttribute("aria-label", t(node.dataset.i18nLabel));
  for (const node of root.querySelectorAll("[data-i18n-placeholder]"))
    node.placeholder = t(node.dataset.i18nPlaceholder);
}

export function setLanguage(next) {
  current = next;
  localStorage.setItem("language", next);
  translate();
}
