#include "vlm/decoder_priv.h"

#include <string.h>

static llama_seq_id sequence_of(const MnkVlmPrefixes *prefixes, const MnkVlmPrefix *prefix) {
  return prefixes->first + (llama_seq_id)(prefix - prefixes->kept);
}

static void copy(const MnkVlmPrefixes *prefixes, llama_seq_id from, llama_seq_id to) {
  llama_memory_seq_cp(llama_get_memory(prefixes->context), from, to, -1, -1);
}

static void forget(MnkVlmPrefixes *prefixes, MnkVlmPrefix *prefix) {
  llama_memory_seq_rm(llama_get_memory(prefixes->context), sequence_of(prefixes, prefix), -1, -1);
  *prefix = (MnkVlmPrefix){0};
}

static MnkVlmPrefix *find(MnkVlmPrefixes *prefixes, const MnkVlmMark *mark) {
  for (guint i = 0; i < MNK_VLM_PREFIXES; i++) {
    MnkVlmPrefix *prefix = &prefixes->kept[i];
    if (prefix->number > 0 && prefix->items == mark->items &&
        memcmp(prefix->hash, mark->hash, sizeof mark->hash) == 0)
      return prefix;
  }
  return NULL;
}

void mnk_vlm_prefix_use(MnkVlmPrefixes *prefixes, MnkVlmJob *job) {
  const GArray *marks = job->prompt->marks;
  for (guint i = marks->len; i-- > 0;) {
    const MnkVlmMark *mark = &g_array_index(marks, MnkVlmMark, i);
    MnkVlmPrefix *prefix = mark->chunk < job->prompt->chunks->len ? find(prefixes, mark) : NULL;
    if (!prefix)
      continue;
    copy(prefixes, sequence_of(prefixes, prefix), job->sequence);
    prefix->used = ++prefixes->count;
    job->chunk = mark->chunk;
    job->shares = prefix->number;
    job->answer.cached_tokens = mark->items;
    return;
  }
}

/* Empty, or used longest ago. */
static MnkVlmPrefix *oldest(MnkVlmPrefixes *prefixes, gint64 but, gboolean empty) {
  MnkVlmPrefix *found = NULL;
  for (guint i = 0; i < MNK_VLM_PREFIXES; i++) {
    MnkVlmPrefix *prefix = &prefixes->kept[i];
    if ((prefix->number == 0 && !empty) || (prefix->number > 0 && prefix->number == but))
      continue;
    if (!found || prefix->used < found->used)
      found = prefix;
  }
  return found;
}

void mnk_vlm_prefix_keep(MnkVlmPrefixes *prefixes, MnkVlmJob *job, const MnkVlmMark *mark) {
  if (find(prefixes, mark))
    return;
  MnkVlmPrefix *prefix = oldest(prefixes, 0, TRUE);
  if (prefix->number > 0)
    forget(prefixes, prefix);
  copy(prefixes, job->sequence, sequence_of(prefixes, prefix));
  prefix->number = prefix->used = ++prefixes->count;
  prefix->items = mark->items;
  memcpy(prefix->hash, mark->hash, sizeof mark->hash);
  job->shares = prefix->number;
}

gboolean mnk_vlm_prefix_drop(MnkVlmPrefixes *prefixes, gint64 but) {
  MnkVlmPrefix *prefix = oldest(prefixes, but, FALSE);
  if (prefix)
    forget(prefixes, prefix);
  return prefix != NULL;
}

guint mnk_vlm_prefix_items(const MnkVlmPrefixes *prefixes, gint64 number) {
  guint items = 0;
  for (guint i = 0; i < MNK_VLM_PREFIXES; i++)
    if (number == 0 || prefixes->kept[i].number == number)
      items += prefixes->kept[i].items;
  return items;
}
