/* Answers without a model: where the timeline tells of what the question names. */
#include "ask/ask_priv.h"

#include <math.h>
#include <string.h>

enum { INTERVALS = 5, QUOTE_BYTES = 200 };

/* How a sentence begins that says why no model answers, and how it goes on from there. */
typedef struct {
  const char *full, *half;
} Why;

static const Why UNSET_EN = {"No language model is configured.", "No language model is configured"},
                 UNASKED_EN = {"No language model was asked.", "No language model was asked"},
                 UNSET_JA = {"言語モデルが設定されていません。", "言語モデルが設定されておらず"},
                 UNASKED_JA = {"言語モデルには尋ねていません。", "言語モデルには尋ねておらず"};

static char *word_found(gboolean japanese, const Why *why, const char *intervals, const char *quote,
                        const char *interval) {
  return g_strdup_printf(japanese
                             ? "%sタイムラインでは %s に該当する記述があります。例：「%s」（%s）"
                             : "%s The timeline tells of this at %s, for one: \"%s\" (%s).",
                         why->full, intervals, quote, interval);
}

static char *word_newest(gboolean japanese, const Why *why, const char *quote,
                         const char *interval) {
  return g_strdup_printf(
      japanese ? "%s、タイムラインに質問の語は見つかりません。最新の記述：「%s」（%s）"
               : "%s, and the timeline has none of the question's words. Its newest entry: \"%s\" "
                 "(%s).",
      why->half, quote, interval);
}

static char *word_nothing(gboolean japanese, const Why *why) {
  return g_strdup_printf(japanese ? "%s、タイムラインにこの配信の記述はまだありません。"
                                  : "%s, and the timeline has nothing about this stream yet.",
                         why->half);
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

void mnk_timeline_answer(MnkAnswer *answer, const MnkGathered *gathered, const char *lang,
                         gboolean has_model) {
  gboolean japanese = g_str_equal(lang, "ja");
  const Why *why =
      has_model ? (japanese ? &UNASKED_JA : &UNASKED_EN) : (japanese ? &UNSET_JA : &UNSET_EN);
  const MnkGatheredCaption *best = best_of(gathered), *newest = newest_of(gathered);
  const MnkGatheredCaption *quoted = best ? best : newest;
  answer->history = best && gathered->past;
  if (!quoted) {
    answer->text = word_nothing(japanese, why);
    return;
  }
  g_autofree char *quote = quote_of(quoted);
  g_autofree char *interval = mnk_interval_text(quoted->caption->start_ms, quoted->caption->end_ms);
  if (!best) {
    g_ptr_array_add(answer->evidence, mnk_evidence_of_caption(newest));
    answer->text = word_newest(japanese, why, quote, interval);
    return;
  }
  mnk_evidence_add_hits(answer->evidence, gathered, INTERVALS);
  mnk_evidence_sort(answer->evidence);
  g_autofree char *intervals = mnk_answer_intervals(answer);
  answer->text = word_found(japanese, why, intervals, quote, interval);
}
