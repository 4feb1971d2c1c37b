/* Answers without a model: where the timeline tells of what the question names. */
#include "ask/ask_priv.h"

#include <math.h>
#include <string.h>

enum { INTERVALS = 5, QUOTE_BYTES = 200 };

static char *word_found(gboolean japanese, const char *intervals, const char *quote,
                        const char *interval) {
  return g_strdup_printf(japanese ? "言語モデルが設定されていません。タイムラインでは %s "
                                    "に該当する記述があります。例：「%s」（%s）"
                                  : "No language model is configured. The timeline tells of this "
                                    "at %s, for one: \"%s\" (%s).",
                         intervals, quote, interval);
}

static char *word_newest(gboolean japanese, const char *quote, const char *interval) {
  return g_strdup_printf(japanese ? "言語モデルが設定されておらず、タイムラインに質問の語は見つかり"
                                    "ません。最新の記述：「%s」（%s）"
                                  : "No language model is configured, and the timeline has none of "
                                    "the question's words. Its "
                                    "newest entry: \"%s\" (%s).",
                         quote, interval);
}

static char *word_nothing(gboolean japanese) {
  return g_strdup(
      japanese
          ? "言語モデルが設定されておらず、タイムラインにこの配信の記述はまだありません。"
          : "No language model is configured, and the timeline has nothing about this stream yet.");
}

static const MnkGatheredCaption *best_of(const MnkGathered *gathered) {
  const MnkGatheredCaption *best = NULL;
  for (guint i = 0; i < gathered->captions->len; i++) {
    const MnkGatheredCaption *caption = gathered->captions->pdata[i];
    if (!isnan(caption->score) && (!best || caption->score > best->score))
      best = caption;
  }
  return best;
}

static const MnkGatheredCaption *newest_of(const MnkGathered *gathered) {
  const MnkGatheredCaption *newest = NULL;
  for (guint i = 0; i < gathered->captions->len; i++) {
    const MnkGatheredCaption *caption = gathered->captions->pdata[i];
    if (!newest || caption->caption->end_ms >= newest->caption->end_ms)
      newest = caption;
  }
  return newest;
}

static char *quote_of(const MnkGatheredCaption *gathered) {
  g_autofree char *line = mnk_ask_line(gathered->caption->text, QUOTE_BYTES);
  g_strdelimit(line, "\"", '\'');
  return g_steal_pointer(&line);
}

void mnk_timeline_answer(MnkAnswer *answer, const MnkGathered *gathered, const char *lang) {
  gboolean japanese = g_str_equal(lang, "ja");
  const MnkGatheredCaption *best = best_of(gathered), *newest = newest_of(gathered);
  const MnkGatheredCaption *quoted = best ? best : newest;
  answer->history = best && gathered->past;
  if (!quoted) {
    answer->text = word_nothing(japanese);
    return;
  }
  g_autofree char *quote = quote_of(quoted);
  g_autofree char *interval = mnk_interval_text(quoted->caption->start_ms, quoted->caption->end_ms);
  if (!best) {
    g_ptr_array_add(answer->evidence, mnk_evidence_of_caption(newest));
    answer->text = word_newest(japanese, quote, interval);
    return;
  }
  mnk_evidence_add_hits(answer->evidence, gathered, INTERVALS);
  mnk_evidence_sort(answer->evidence);
  g_autofree char *intervals = mnk_answer_intervals(answer);
  answer->text = word_found(japanese, intervals, quote, interval);
}
