/* Questions: which moments are shown to the model, and how. */
#include "local/worker_priv.h"

#include <math.h>
#include <string.h>

enum {
  QUERY_TOKENS_MAX = 256,
  PREFILTER = 4,     /* fine routers look at the best so many times topk by the coarse one */
  STAMP_TOKENS = 12, /* a moment's time, and what stands around its tokens */
  ANSWER_SHARE = 4,  /* an answer takes at most this part of the context */
  CONTENT_MIN = 3,   /* words that must be left of a question */
};
static const float TAU = 0.07F;
static const guint PREFILTER_MIN = 64;

/* ---- What it is routed by ---- */

static const char STOP_WORDS[] =
    " a an the is are was were be been being am do does did has have had having will would can "
    "could should may might must shall of in on at to from by for with about into over under and "
    "or but if then than as it its this that these those there here i you he she we they me him "
    "her them my your his our their what when where who whom whose which why how many much any "
    "some no not so too very just now ever before after during while again tell say please show "
    "see seen video scene ";

static gboolean is_stop_word(const char *word) {
  g_autofree char *lower = g_utf8_strdown(word, -1);
  g_autofree char *fenced = g_strdup_printf(" %s ", lower);
  return strstr(STOP_WORDS, fenced) != NULL;
}

/* The word without what stands around it: quotation marks, question marks. Caller frees. */
static char *bare_word(const char *word) {
  const char *start = word, *end = word + strlen(word);
  while (start < end && !g_unichar_isalnum(g_utf8_get_char(start)))
    start = g_utf8_next_char(start);
  while (end > start) {
    const char *last = g_utf8_prev_char(end);
    if (g_unichar_isalnum(g_utf8_get_char(last)))
      break;
    end = last;
  }
  return g_strndup(start, (gsize)(end - start));
}

char *mnk_question_content(const char *question) {
  g_auto(GStrv) words = g_strsplit_set(question, " \t\r\n", -1);
  g_autoptr(GString) all = g_string_new(NULL), content = g_string_new(NULL);
  guint kept = 0;
  for (guint i = 0; words[i] != NULL; i++) {
    g_autofree char *word = bare_word(words[i]);
    if (*word == '\0')
      continue;
    /* a space before each, as words stand in running text */
    g_string_append_printf(all, " %s", word);
    if (is_stop_word(word))
      continue;
    g_string_append_printf(content, " %s", word);
    kept++;
  }
  return g_strdup(kept >= CONTENT_MIN ? content->str : all->str);
}

/* A question of few words goes with the one before: "and after that?" */
static char *routed_text(const MnkModelCall *call) {
  g_autofree char *own = mnk_question_content(call->question);
  g_auto(GStrv) words = g_strsplit(own, " ", -1);
  if (call->turns->len == 0 || g_strv_length(words) > CONTENT_MIN)
    return g_steal_pointer(&own);
  const MnkTurnOfTalk *last = &g_array_index(call->turns, MnkTurnOfTalk, call->turns->len - 1);
  g_autofree char *before = mnk_question_content(last->question);
  return g_strconcat(before, own, NULL);
}

/* ---- Which moments ---- */

static gboolean score(MnkModelJob *job, float *scores, GError **error) {
  MnkKeyframes *keyframes = job->memory->keyframes;
  MnkRouterConfig config = {
      .router = (MnkRouter)job->call.router,
      .indexer = job->office->indexer,
      .seed = job->call.seed,
      .tau = TAU,
      .prefilter = MAX(PREFILTER * job->call.topk, PREFILTER_MIN),
  };
  if (config.router == MNK_ROUTER_INDEXER && config.indexer == NULL) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_USAGE,
                        "the router \"indexer\" needs a trained one: --indexer FILE");
    return FALSE;
  }
  guint n = 0;
  g_autofree char *text = routed_text(&job->call);
  g_autofree float *query = mnk_vlm_rows(job->office->vlm, text, QUERY_TOKENS_MAX, &n);
  if (query == NULL || n == 0)
    config.router = MNK_ROUTER_RECENT;
  mnk_route(keyframes, &config, query, n, scores);
  return TRUE;
}

static gboolean wants_history(const MnkModelJob *job, const float *scores) {
  const MnkModelCall *call = &job->call;
  if (call->history != MNK_HISTORY_AUTO)
    return call->history == MNK_HISTORY_ALWAYS;
  return mnk_question_is_of_the_past(call->question) ||
         mnk_recall_needs_history(job->memory->keyframes, scores, call->margin);
}

/* Moments for at most tokens_max visual tokens. Of MnkRecalled; caller unrefs. */
static GPtrArray *recall(MnkModelJob *job, guint tokens_max, GError **error) {
  MnkModelAnswer *answer = &job->answer;
  gint64 start_us = g_get_monotonic_time();
  MnkRecallConfig config = {.topk = job->call.topk,
                            .neighbours = 1,
                            .tokens_max = tokens_max,
                            .recent = job->call.recent};
  GPtrArray *chosen = NULL;
  mnk_model_memory_lock(job->memory);
  g_autofree float *scores = g_new0(float, mnk_keyframes_count(job->memory->keyframes) + 1);
  if (score(job, scores, error)) {
    config.history = wants_history(job, scores);
    chosen = mnk_recall(job->memory->keyframes, &config, config.history ? scores : NULL);
  }
  mnk_model_memory_unlock(job->memory);
  answer->answer.router = (MnkRouter)job->call.router;
  answer->answer.history = config.history;
  answer->answer.route_ms = (double)(g_get_monotonic_time() - start_us) / 1000;
  return chosen;
}

/* ---- The prompt ---- */

/* Always of one length, so that a question costs after a day what it costs after a minute: models
 * read digits one by one. */
static char *stamp_time(gint64 ms) {
  guint64 s = (guint64)MAX(ms, 0) / 1000;
  return g_strdup_printf("%" G_GUINT64_FORMAT ":%02u:%02u", s / 3600, (guint)(s / 60 % 60),
                         (guint)(s % 60));
}

/* When it begins: where it ends the next stamp says well enough, and a prompt about a day is no
 * longer than one about a minute. */
static void add_stamp(MnkModelPrompt *prompt, const MnkRecalled *moment) {
  g_autofree char *from = stamp_time(moment->first_ms);
  g_autofree char *stamp = g_strdup_printf("\n%s ", from);
  mnk_model_prompt_text(prompt, MNK_VLM_TEXT, stamp);
}

static void add_moments(MnkModelPrompt *prompt, const GPtrArray *moments) {
  for (guint i = 0; i < moments->len; i++) {
    const MnkRecalled *moment = moments->pdata[i];
    add_stamp(prompt, moment);
    mnk_model_prompt_tokens(prompt, moment->tokens, NULL);
  }
}

static void add_turns(MnkModelPrompt *prompt, const MnkModelCall *call, guint first) {
  for (guint i = first; i < call->turns->len; i++) {
    const MnkTurnOfTalk *turn = &g_array_index(call->turns, MnkTurnOfTalk, i);
    mnk_model_prompt_text(prompt, MNK_VLM_USER, turn->question);
    mnk_model_prompt_text(prompt, MNK_VLM_ASSISTANT, turn->answer);
  }
}

/* What of the prompt's words is left when they do not all fit: talk goes first, the oldest before
 * the newer, then the log; never the question. */
typedef struct {
  guint first_turn;
  const char *log;
  guint size; /* tokens, without moments */
} Words;

static guint words_size(const MnkModelJob *job, const Words *words) {
  MnkVlm *vlm = job->office->vlm;
  const MnkModelCall *call = &job->call;
  guint size = mnk_model_text_size(vlm, mnk_model_words(MNK_WORDS_QUESTION, call->lang)) +
               mnk_model_text_size(vlm, call->question) + mnk_model_text_size(vlm, words->log) +
               3 * STAMP_TOKENS;
  for (guint i = words->first_turn; i < call->turns->len; i++) {
    const MnkTurnOfTalk *turn = &g_array_index(call->turns, MnkTurnOfTalk, i);
    size += mnk_model_text_size(vlm, turn->question) + mnk_model_text_size(vlm, turn->answer);
  }
  return size;
}

static gboolean fit_words(const MnkModelJob *job, guint room, Words *words, GError **error) {
  *words = (Words){.log = job->call.log};
  while ((words->size = words_size(job, words)) > room / 2) {
    if (words->first_turn < job->call.turns->len)
      words->first_turn++;
    else if (words->log[0] != '\0')
      words->log = "";
    else
      break;
  }
  if (words->size <= room)
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
              "the question takes %u tokens with its instructions, and the model has room for %u "
              "(--model-context)",
              words->size, room);
  return FALSE;
}

static void build(const MnkModelJob *job, const Words *words, const GPtrArray *moments,
                  MnkModelPrompt *prompt) {
  const MnkModelCall *call = &job->call;
  mnk_model_prompt_text(prompt, MNK_VLM_SYSTEM, mnk_model_words(MNK_WORDS_QUESTION, call->lang));
  add_turns(prompt, call, words->first_turn);
  mnk_model_prompt_text(prompt, MNK_VLM_USER, "");
  if (words->log[0] != '\0') {
    mnk_model_prompt_text(prompt, MNK_VLM_TEXT, "Told before:\n");
    mnk_model_prompt_text(prompt, MNK_VLM_TEXT, words->log);
  }
  add_moments(prompt, moments);
  mnk_model_prompt_text(prompt, MNK_VLM_TEXT, "\n");
  mnk_model_prompt_text(prompt, MNK_VLM_TEXT, call->question);
}

/* ---- Evidence ---- */

static void note_evidence(MnkModelJob *job, const GPtrArray *moments) {
  static const char *const WHYS[] = {[MNK_RECALL_CHOSEN] = "chosen",
                                     [MNK_RECALL_NEIGHBOUR] = "neighbour",
                                     [MNK_RECALL_BUFFER] = "buffer",
                                     [MNK_RECALL_RECENT] = "recent"};
  for (guint i = 0; i < moments->len; i++) {
    const MnkRecalled *moment = moments->pdata[i];
    MnkEvidence one = {moment->first_ms, moment->last_ms, moment->score, WHYS[moment->why],
                       mnk_tokens_count(moment->tokens)};
    g_array_append_val(job->answer.answer.evidence, one);
  }
}

/* The lowest score that is not of the present; the oldest moment when nothing else is left. */
static guint least_telling(const GPtrArray *moments) {
  guint least = 0;
  float lowest = INFINITY;
  for (guint i = 0; i < moments->len; i++) {
    const MnkRecalled *moment = moments->pdata[i];
    float score = isnan(moment->score) ? 0 : moment->score;
    if (moment->why != MNK_RECALL_RECENT && score < lowest) {
      least = i;
      lowest = score;
    }
  }
  return least;
}

static void cut_moments(GPtrArray *moments, guint room) {
  for (;;) {
    guint size = 0;
    for (guint i = 0; i < moments->len; i++)
      size += STAMP_TOKENS + mnk_tokens_count(((MnkRecalled *)moments->pdata[i])->tokens);
    if (size <= room || moments->len == 0)
      return;
    g_ptr_array_remove_index(moments, least_telling(moments));
  }
}

/* Room for visual tokens, each moment with its time; at least one. */
static guint visual_room(const MnkModelJob *job, guint room) {
  guint frame = MAX(job->memory->frame_tokens, 1);
  guint visual = (guint)((guint64)room * frame / (frame + STAMP_TOKENS));
  if (job->call.visual_max > 0)
    visual = MIN(visual, job->call.visual_max);
  return MAX(visual, 1);
}

gboolean mnk_question_think(MnkModelJob *job, GError **error) {
  const MnkModelCall *call = &job->call;
  guint context = job->office->context;
  guint answer_max = MIN(call->tokens_max, MAX(context / ANSWER_SHARE, 1));
  guint room = context - answer_max;
  Words words;
  if (!fit_words(job, room, &words, error))
    return FALSE;
  g_autoptr(GPtrArray) moments = recall(job, visual_room(job, room - words.size), error);
  if (moments == NULL)
    return FALSE;
  cut_moments(moments, room - words.size);
  note_evidence(job, moments);
  g_auto(MnkModelPrompt) prompt;
  mnk_model_prompt_init(&prompt);
  build(job, &words, moments, &prompt);
  const MnkVlmRequest request = {
      .priority = MNK_VLM_QUESTION,
      .parts = (const MnkVlmPart *)(gpointer)prompt.parts->data,
      .n_parts = prompt.parts->len,
      .prefix = 1,
      .tokens_max = answer_max,
      .temperature = call->temperature,
      .seed = call->seed,
      .deadline_us = call->deadline_us,
  };
  return mnk_job_submit(job, &request, error);
}
