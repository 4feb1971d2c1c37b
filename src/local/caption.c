/* Captions: a batch's frames and the stream's memory, told as events. */
#include "local/worker_priv.h"

#include <math.h>
#include <string.h>

enum {
  EVENTS_MAX = 8,
  TEXT_CHARACTERS = 200, /* of one event */
  PAIRED_FRAMES = 96,    /* up to here the grammar knows each pair of first and last frame */
  ANSWER_SHARE = 3,      /* an answer takes at most this part of the context */
};

/* ---- The grammar ---- */

/* Numbers of one length up to high: those that leave it at some digit for a lower one, then any
 * digits; and high itself. */
static void add_up_to(GString *out, guint high) {
  g_autofree char *digits = g_strdup_printf("%u", high);
  gsize length = strlen(digits);
  g_string_append(out, "[0-9]");
  for (gsize n = 2; n < length; n++)
    g_string_append_printf(out, " | [1-9] [0-9]{%" G_GSIZE_FORMAT "}", n - 1);
  for (gsize i = 0; i < length && length > 1; i++) {
    char least = i == 0 ? '1' : '0';
    if (digits[i] <= least)
      continue;
    g_string_append(out, " | ");
    if (i > 0)
      g_string_append_printf(out, "\"%.*s\" ", (int)i, digits);
    g_string_append_printf(out, "[%c-%c]", least, digits[i] - 1);
    if (length - i > 1)
      g_string_append_printf(out, " [0-9]{%" G_GSIZE_FORMAT "}", length - i - 1);
  }
  if (length > 1)
    g_string_append_printf(out, " | \"%s\"", digits);
}

static void add_pairs(GString *out, guint n_frames) {
  g_string_append(out, "frames ::= ");
  for (guint i = 0; i < n_frames; i++)
    g_string_append_printf(out, "%s\"\\\"start_frame\\\":%u,\\\"end_frame\\\":\" from%u",
                           i > 0 ? " | " : "", i, i);
  g_string_append_c(out, '\n');
  for (guint i = 0; i < n_frames; i++) {
    g_string_append_printf(out, "from%u ::= \"%u\"", i, i);
    if (i + 1 < n_frames)
      g_string_append_printf(out, " | from%u", i + 1);
    g_string_append_c(out, '\n');
  }
}

/* Without pairs the last frame is not held to come after the first: see mnk_caption_order. */
static void add_frames(GString *out, guint n_frames) {
  g_string_append(out, "frames ::= \"\\\"start_frame\\\":\" frame \",\\\"end_frame\\\":\" frame\n"
                       "frame ::= ");
  add_up_to(out, n_frames - 1);
  g_string_append_c(out, '\n');
}

char *mnk_caption_grammar(guint n_frames) {
  GString *out = g_string_new(NULL);
  g_string_append_printf(out,
                         "root ::= \"{\\\"events\\\":[\" event (\",\" event){0,%d} \"]}\"\n"
                         "event ::= \"{\" frames \",\\\"text\\\":\\\"\" text "
                         "\"\\\",\\\"confidence\\\":\" confidence \"}\"\n"
                         "text ::= first rest{0,%d}\n"
                         "first ::= [^\"\\\\\\x00-\\x20\\x7F<>]\n"
                         "rest ::= [^\"\\\\\\x00-\\x1F\\x7F<>]\n"
                         "confidence ::= \"0.\" [0-9]{1,2} | \"1\" | \"0\"\n",
                         EVENTS_MAX - 1, TEXT_CHARACTERS - 1);
  if (n_frames <= PAIRED_FRAMES)
    add_pairs(out, n_frames);
  else
    add_frames(out, n_frames);
  return g_string_free(out, FALSE);
}

char *mnk_caption_mend(const char *json) {
  /* no text holds a brace or a quotation mark, so that this ends an event */
  const char *end = NULL;
  for (const char *at = json; (at = strstr(at, "\"confidence\":")) != NULL; at++) {
    const char *brace = strchr(at, '}');
    if (brace != NULL)
      end = brace;
  }
  return end != NULL ? g_strdup_printf("%.*s]}", (int)(end - json) + 1, json) : NULL;
}

void mnk_caption_order(char *json) {
  static const char START[] = "\"start_frame\":", END[] = ",\"end_frame\":";
  for (char *at = json; (at = strstr(at, START)) != NULL; at++) {
    char *numbers = at + strlen(START), *middle = NULL, *end = NULL;
    guint64 first = g_ascii_strtoull(numbers, &middle, 10);
    if (!g_str_has_prefix(middle, END))
      continue;
    guint64 last = g_ascii_strtoull(middle + strlen(END), &end, 10);
    if (first <= last)
      continue;
    /* the same digits, so that it takes the same room */
    g_autofree char *swapped =
        g_strdup_printf("%" G_GUINT64_FORMAT "%s%" G_GUINT64_FORMAT, last, END, first);
    memcpy(numbers, swapped, MIN(strlen(swapped), (gsize)(end - numbers)));
  }
}

/* ---- The memory ---- */

static int compare_times(gconstpointer a, gconstpointer b) {
  gint64 left = *(const gint64 *)a, right = *(const gint64 *)b;
  return (left > right) - (left < right);
}

/* Times in the order of the centres as small numbers: the same second, the same number. Hours
 * would be far outside of what positions a model knows. */
static void set_places(const MnkCentre *centres, const guint *order, guint n, gint32 (*places)[3]) {
  g_autofree gint64 *seconds = g_new(gint64, n);
  for (guint i = 0; i < n; i++)
    seconds[i] = (gint64)floorf(centres[order[i]].t_ms / 1000);
  qsort(seconds, n, sizeof *seconds, compare_times);
  for (guint i = 0; i < n; i++) {
    const MnkCentre *centre = &centres[order[i]];
    gint64 second = (gint64)floorf(centre->t_ms / 1000);
    gint32 rank = 0;
    for (guint k = 1; k < n && seconds[k - 1] < second; k++)
      rank += seconds[k] > seconds[k - 1];
    places[i][0] = rank;
    places[i][1] = (gint32)lroundf(centre->row);
    places[i][2] = (gint32)lroundf(centre->column);
  }
}

/* The centres in their order, as tokens of one part; NULL when there are none. */
static MnkTokens *memory_tokens(MnkModelMemory *memory, gint32 (**places)[3]) {
  MnkTokens *tokens = NULL;
  mnk_model_memory_lock(memory);
  guint n = memory->token_memory != NULL ? mnk_token_memory_count(memory->token_memory) : 0;
  if (n > 0) {
    g_autofree guint *order = g_new(guint, n);
    g_autofree float *rows = g_new(float, (gsize)n * memory->dim);
    const float *centres = mnk_token_memory_centres(memory->token_memory);
    mnk_token_memory_order(memory->token_memory, order);
    for (guint i = 0; i < n; i++)
      memcpy(rows + (gsize)i * memory->dim, centres + (gsize)order[i] * memory->dim,
             memory->dim * sizeof *rows);
    *places = g_malloc_n(n, sizeof **places);
    set_places(mnk_token_memory_stats(memory->token_memory), order, n, *places);
    tokens = mnk_tokens_new(rows, n, memory->dim, 0, 0, NULL);
    if (tokens == NULL)
      g_clear_pointer(places, g_free);
  }
  mnk_model_memory_unlock(memory);
  return tokens;
}

/* ---- The prompt ---- */

/* Those tokens of a frame that are to be kept, where they were on its grid. Takes nothing. */
static MnkTokens *kept_tokens(MnkTokens *tokens, const guint8 *keep, gint32 (**places)[3]) {
  guint n = mnk_tokens_count(tokens), dim = mnk_tokens_dim(tokens), kept = 0;
  guint columns = MAX(mnk_tokens_columns(tokens), 1);
  g_autofree float *rows = g_new(float, (gsize)n *dim);
  *places = g_malloc_n(n, sizeof **places);
  for (guint i = 0; i < n; i++) {
    if (!keep[i])
      continue;
    mnk_tokens_read(tokens, i, 1, rows + (gsize)kept * dim);
    (*places)[kept][0] = 0;
    (*places)[kept][1] = (gint32)(i / columns);
    (*places)[kept++][2] = (gint32)(i % columns);
  }
  MnkTokens *some =
      kept > 0 ? mnk_tokens_new(rows, kept, dim, 0, mnk_tokens_pts_ms(tokens), NULL) : NULL;
  if (some == NULL)
    g_clear_pointer(places, g_free);
  return some;
}

static void add_frame(MnkModelJob *job, MnkModelPrompt *prompt, const MnkModelPlace *place,
                      gint64 start_ms) {
  g_autofree guint8 *keep = NULL;
  gint32(*places)[3] = NULL;
  g_autoptr(MnkTokens) tokens = mnk_model_memory_find(job->memory, place->pts_ms, &keep);
  if (tokens == NULL)
    return;
  g_autoptr(MnkTokens) shown =
      keep != NULL ? kept_tokens(tokens, keep, &places) : mnk_tokens_ref(tokens);
  g_autofree char *stamp = g_strdup_printf("\nFrame %u, %.2f s: ", place->index,
                                           (double)(place->pts_ms - start_ms) / 1000);
  mnk_model_prompt_text(prompt, MNK_VLM_TEXT, stamp);
  if (shown != NULL)
    mnk_model_prompt_tokens(prompt, shown, places);
  else
    mnk_model_prompt_text(prompt, MNK_VLM_TEXT, "as before");
}

static void add_words(MnkJsonWriter *w, const char *key, const char *text) {
  if (text[0] != '\0')
    mnk_json_add_string(w, key, text);
}

/* What comes from outside stands in JSON strings, whose writer lets nothing end them. */
static char *material(const MnkModelCall *call) {
  g_autoptr(GString) json = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, json);
  mnk_json_begin_object(&w, NULL);
  add_words(&w, "told_before", call->context);
  add_words(&w, "running", call->running);
  add_words(&w, "known", call->known);
  add_words(&w, "wish", call->wish);
  mnk_json_end_object(&w);
  return g_strdup_printf("The stretch has %u frames, numbered 0 to %u. Material: %s\n",
                         call->n_frames, call->n_frames - 1, json->str);
}

/* frames: how many of the newest. */
static void build(MnkModelJob *job, MnkModelPrompt *prompt, MnkTokens *memory, gint32 (*places)[3],
                  guint frames) {
  const MnkModelCall *call = &job->call;
  g_autofree char *words = material(call);
  gint64 start_ms = g_array_index(call->frames, MnkModelPlace, 0).pts_ms;
  mnk_model_prompt_init(prompt);
  mnk_model_prompt_text(prompt, MNK_VLM_SYSTEM, mnk_model_words(MNK_WORDS_CAPTION, call->lang));
  mnk_model_prompt_text(prompt, MNK_VLM_USER, "");
  mnk_model_prompt_text(prompt, MNK_VLM_TEXT, words);
  if (memory != NULL) {
    guint n = mnk_tokens_count(memory);
    mnk_model_prompt_text(prompt, MNK_VLM_TEXT, "Seen so far: ");
    mnk_model_prompt_tokens(prompt, memory, g_memdup2(places, n * sizeof *places));
  }
  for (guint i = call->frames->len - frames; i < call->frames->len; i++)
    add_frame(job, prompt, &g_array_index(call->frames, MnkModelPlace, i), start_ms);
  mnk_model_prompt_text(prompt, MNK_VLM_TEXT, "\nThe events as JSON:");
}

/* The memory goes first when the prompt does not fit, then the oldest frames. */
static gboolean fit(MnkModelJob *job, MnkModelPrompt *prompt, guint room, GError **error) {
  gint32(*places)[3] = NULL;
  g_autoptr(MnkTokens) memory = memory_tokens(job->memory, &places);
  g_autofree gint32(*owned)[3] = places;
  guint frames = job->call.frames->len;
  build(job, prompt, memory, owned, frames);
  for (;;) {
    guint size = mnk_model_prompt_size(prompt, job->office->vlm);
    if (size <= room && prompt->tokens->len > 0)
      return TRUE;
    if (size <= room || frames == 0) {
      g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT, "%s",
                  size <= room ? "no frame of the batch was seen"
                               : "not one frame of the batch fits in the model's context");
      return FALSE;
    }
    if (memory != NULL)
      g_clear_pointer(&memory, mnk_tokens_unref);
    else
      frames--;
    mnk_model_prompt_clear(prompt);
    build(job, prompt, memory, owned, frames);
  }
}

gboolean mnk_caption_think(MnkModelJob *job, GError **error) {
  const MnkModelCall *call = &job->call;
  guint context = job->office->context;
  guint answer_max = MIN(call->tokens_max, context / ANSWER_SHARE);
  g_autofree char *grammar = NULL;
  if (call->frames->len == 0 || call->n_frames == 0) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "the batch has no frame to show");
    return FALSE;
  }
  g_auto(MnkModelPrompt) prompt = {0};
  if (!fit(job, &prompt, context - answer_max, error))
    return FALSE;
  grammar = mnk_caption_grammar(call->n_frames);
  const MnkVlmRequest request = {
      .priority = MNK_VLM_CAPTION,
      .parts = (const MnkVlmPart *)(gpointer)prompt.parts->data,
      .n_parts = prompt.parts->len,
      .prefix = 1,
      .tokens_max = answer_max,
      .temperature = call->temperature,
      .seed = call->seed,
      .grammar = grammar,
      .deadline_us = call->deadline_us,
  };
  return mnk_job_submit(job, &request, error);
}
