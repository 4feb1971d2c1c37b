/* Facts and captions as plain data. */
#include "wire/caption.h"

static const char *const kind_names[MNK_FACT_N] = {
    [MNK_FACT_OBJECT] = "object", [MNK_FACT_SCENE] = "scene",   [MNK_FACT_FACE] = "face",
    [MNK_FACT_POSE] = "pose",     [MNK_FACT_TEXT] = "text",     [MNK_FACT_CAMERA] = "camera",
    [MNK_FACT_CUT] = "cut",       [MNK_FACT_ACTION] = "action", [MNK_FACT_GAP] = "gap",
};

const char *mnk_fact_kind_name(MnkFactKind kind) {
  return (guint)kind < MNK_FACT_N ? kind_names[kind] : "unknown";
}

MnkFact *mnk_fact_new(MnkFactKind kind, const char *name) {
  MnkFact *fact = g_new0(MnkFact, 1);
  fact->kind = kind;
  fact->name = g_strdup(name);
  fact->count = 1;
  return fact;
}

MnkFact *mnk_fact_copy(const MnkFact *fact) {
  MnkFact *copy = g_new(MnkFact, 1);
  *copy = *fact;
  copy->name = g_strdup(fact->name);
  copy->of = g_strdup(fact->of);
  return copy;
}

void mnk_fact_free(MnkFact *fact) {
  if (!fact)
    return;
  g_free(fact->name);
  g_free(fact->of);
  g_free(fact);
}

MnkCaption *mnk_caption_new(void) {
  MnkCaption *caption = g_new0(MnkCaption, 1);
  caption->picture_ms = -1;
  caption->facts = g_ptr_array_new_with_free_func((GDestroyNotify)mnk_fact_free);
  return caption;
}

MnkCaption *mnk_caption_copy(const MnkCaption *caption) {
  MnkCaption *copy = mnk_caption_new();
  copy->stream = g_strdup(caption->stream);
  copy->id = g_strdup(caption->id);
  copy->seq = caption->seq;
  copy->start_ms = caption->start_ms;
  copy->end_ms = caption->end_ms;
  copy->picture_ms = caption->picture_ms;
  copy->final = caption->final;
  copy->backend = g_strdup(caption->backend);
  copy->lang = g_strdup(caption->lang);
  copy->text = g_strdup(caption->text);
  for (guint i = 0; i < caption->facts->len; i++)
    g_ptr_array_add(copy->facts, mnk_fact_copy(g_ptr_array_index(caption->facts, i)));
  return copy;
}

void mnk_caption_free(MnkCaption *caption) {
  if (!caption)
    return;
  g_free(caption->stream);
  g_free(caption->id);
  g_free(caption->backend);
  g_free(caption->lang);
  g_free(caption->text);
  g_ptr_array_unref(caption->facts);
  g_free(caption);
}

gboolean mnk_caption_is_gap(const MnkCaption *caption) {
  for (guint i = 0; i < caption->facts->len; i++) {
    const MnkFact *fact = g_ptr_array_index(caption->facts, i);
    if (fact->kind == MNK_FACT_GAP)
      return TRUE;
  }
  return FALSE;
}
