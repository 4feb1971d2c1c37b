/* Jobs of the decoder, on tiny models: what comes of them, in which order, and that making way for
 * another changes no answer. */
#include <string.h>

#include "tiny.h"
#include "vlm/vlm_priv.h"
#include "wire/json.h"

static MnkVlm *load_with(const char *family, guint context, guint sequences) {
  g_auto(TinyPair) pair = {0};
  tiny_pair(&pair, family);
  pair.config.context = context;
  pair.config.sequences = sequences;
  pair.config.micro_batch = 8;
  pair.config.logits_all = TRUE;
  g_autoptr(GError) error = NULL;
  MnkVlm *vlm = mnk_vlm_load(&pair.config, &error);
  g_assert_no_error(error);
  return vlm;
}

static MnkTokens *look_at(MnkVlm *vlm, guint32 rgb, int side) {
  g_autofree guint8 *pixels = g_malloc((gsize)side * side * 3);
  for (guint i = 0; i < (guint)(side * side); i++)
    for (guint c = 0; c < 3; c++)
      pixels[3 * i + c] = (guint8)(rgb >> (16 - 8 * c));
  MnkFrame *frame = mnk_frame_new_rgb(pixels, side, side, side * 3, 0);
  g_autoptr(GError) error = NULL;
  MnkTokens *tokens = mnk_vlm_encode(vlm, &frame, 1, NULL, &error);
  g_assert_no_error(error);
  mnk_frame_unref(frame);
  return tokens;
}

static MnkTokens *look(MnkVlm *vlm, guint32 rgb) {
  return look_at(vlm, rgb, 112);
}

/* ---- Jobs whose events are kept ---- */

typedef struct {
  GMutex mutex;
  GCond changed;
  guint done;    /* jobs */
  gboolean full; /* all that shall meet has been submitted */
} Board;

typedef struct _Asked Asked;
struct _Asked {
  Board *board;
  MnkVlmJob *job;
  GString *pieces;
  MnkVlmAnswer answer;
  GError *error;
  guint place; /* the how manieth to be done, from 1; 0: not yet */
  guint n_pieces;
  void (*on_piece)(Asked *asked);
  void (*on_done)(Asked *asked);
  gpointer user;
};

static void on_piece(const char *text, gpointer user) {
  Asked *asked = user;
  g_assert_true(g_utf8_validate(text, -1, NULL));
  g_assert_cmpuint(asked->place, ==, 0);
  g_string_append(asked->pieces, text);
  asked->n_pieces++;
  if (asked->on_piece)
    asked->on_piece(asked);
}

static void on_done(const MnkVlmAnswer *answer, const GError *error, gpointer user) {
  Asked *asked = user;
  if (asked->on_done)
    asked->on_done(asked);
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&asked->board->mutex);
  g_assert_true((answer == NULL) == (error != NULL));
  g_assert_cmpuint(asked->place, ==, 0);
  if (answer) {
    asked->answer = *answer;
    asked->answer.text = g_strdup(answer->text);
  } else {
    asked->error = g_error_copy(error);
  }
  asked->place = ++asked->board->done;
  g_cond_broadcast(&asked->board->changed);
}

static void submit(Board *board, Asked *asked, MnkVlm *vlm, const MnkVlmRequest *request) {
  static const MnkVlmEvents events = {.piece = on_piece, .done = on_done};
  asked->board = board;
  asked->pieces = g_string_new(NULL);
  asked->job = mnk_vlm_submit(vlm, request, &events, asked);
}

static void wait_for(Board *board, guint n) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&board->mutex);
  while (board->done < n)
    g_cond_wait(&board->changed, &board->mutex);
}

static void asked_clear(Asked *asked) {
  mnk_vlm_job_unref(asked->job);
  g_string_free(asked->pieces, TRUE);
  mnk_vlm_answer_clear(&asked->answer);
  g_clear_error(&asked->error);
}

/* ---- Requests ---- */

/* "what colour is the scene now", with a picture before it. */
static MnkVlmRequest colour_question(MnkVlmPart parts[3], MnkTokens *tokens) {
  parts[0] = (MnkVlmPart){.kind = MNK_VLM_SYSTEM, .text = " describe the video"};
  parts[1] = (MnkVlmPart){.kind = MNK_VLM_TOKENS, .tokens = tokens};
  parts[2] = (MnkVlmPart){.kind = MNK_VLM_TEXT, .text = " what colour is the scene now"};
  return (MnkVlmRequest){.parts = parts, .n_parts = 3, .tokens_max = 16};
}

/* A long caption of a random model; number makes it another. */
static MnkVlmRequest caption_of(MnkVlmPart parts[2], char **text, guint number, guint words) {
  GString *long_text = g_string_new(NULL);
  for (guint i = 0; i < words; i++)
    g_string_append_printf(long_text, " the dog %u", (number + i) % 10);
  *text = g_string_free(long_text, FALSE);
  parts[0] = (MnkVlmPart){.kind = MNK_VLM_SYSTEM, .text = "describe"};
  parts[1] = (MnkVlmPart){.kind = MNK_VLM_USER, .text = *text};
  return (MnkVlmRequest){.priority = MNK_VLM_CAPTION,
                         .parts = parts,
                         .n_parts = 2,
                         .prefix = 1,
                         .tokens_max = 24,
                         .temperature = 1,
                         .seed = number};
}

static char *answer_alone(MnkVlm *vlm, const MnkVlmRequest *request) {
  MnkVlmAnswer answer = {0};
  g_autoptr(GError) error = NULL;
  tiny_ask(vlm, request, &answer, &error);
  g_assert_no_error(error);
  char *text = g_steal_pointer(&answer.text);
  return text;
}

/* ---- What comes of them ---- */

static const struct {
  guint32 rgb;
  const char *answer;
} colours[] = {
    {0xdc1414, "the scene is red"},   {0x14c81e, "the scene is green"},
    {0x141edc, "the scene is blue"},  {0xe6dc14, "the scene is yellow"},
    {0xfafafa, "the scene is white"}, {0x050505, "the scene is black"},
};

static void test_answers(void) {
  g_autoptr(MnkVlm) vlm = load_with("colour", 1024, 4);
  for (guint i = 0; i < G_N_ELEMENTS(colours); i++) {
    g_autoptr(MnkTokens) tokens = look(vlm, colours[i].rgb);
    MnkVlmPart parts[3];
    MnkVlmRequest request = colour_question(parts, tokens);
    Board board = {0};
    Asked asked = {0};
    submit(&board, &asked, vlm, &request);
    wait_for(&board, 1);
    g_assert_no_error(asked.error);
    g_assert_cmpstr(asked.answer.text, ==, colours[i].answer);
    g_assert_cmpstr(asked.pieces->str, ==, colours[i].answer);
    g_assert_cmpint(asked.answer.finish, ==, MNK_VLM_END);
    g_assert_cmpuint(asked.answer.answer_tokens, ==, 4);
    g_assert_cmpuint(asked.answer.visual_tokens, ==, mnk_tokens_count(tokens));
    g_assert_cmpuint(asked.answer.prompt_tokens, >, asked.answer.visual_tokens);
    asked_clear(&asked);
  }
}

static void test_limits(void) {
  g_autoptr(MnkVlm) vlm = load_with("colour", 512, 4);
  g_autoptr(MnkTokens) red = look(vlm, 0xdc1414);
  MnkVlmPart parts[3];
  MnkVlmRequest request = colour_question(parts, red);
  MnkVlmAnswer answer = {0};
  g_autoptr(GError) error = NULL;

  request.tokens_max = 2;
  g_assert_true(tiny_ask(vlm, &request, &answer, NULL));
  g_assert_cmpstr(answer.text, ==, "the scene");
  g_assert_cmpint(answer.finish, ==, MNK_VLM_TOKENS_MAX);
  mnk_vlm_answer_clear(&answer);

  static const char *const stop[] = {"never", "ne is", " is", NULL};
  request.tokens_max = 16;
  request.stop = stop;
  g_assert_true(tiny_ask(vlm, &request, &answer, NULL));
  g_assert_cmpstr(answer.text, ==, "the sce");
  g_assert_cmpint(answer.finish, ==, MNK_VLM_STOP);
  mnk_vlm_answer_clear(&answer);

  request.tokens_max = 600;
  g_assert_false(tiny_ask(vlm, &request, &answer, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
  g_assert_nonnull(strstr(error->message, "its answer up to 600, more than the 512"));
}

static void test_long_text(void) {
  g_autoptr(MnkVlm) vlm = load_with("qwen25vl", 512, 4);
  g_autofree char *text = g_strnfill(1 << 20, 'a');
  for (gsize i = 0; i < 1 << 19; i += 7)
    text[i] = ' ';
  MnkVlmPart part = {.kind = MNK_VLM_USER, .text = text};
  MnkVlmRequest request = {.parts = &part, .n_parts = 1, .tokens_max = 8};
  MnkVlmAnswer answer = {0};
  g_autoptr(GError) error = NULL;
  g_assert_false(tiny_ask(vlm, &request, &answer, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_LIMIT);
}

static void test_choices(void) {
  g_autoptr(MnkVlm) vlm = load_with("colour", 512, 4);
  g_autoptr(MnkTokens) blue = look(vlm, 0x141edc);
  MnkVlmPart parts[4];
  MnkVlmRequest request = colour_question(parts, blue);
  parts[3] = (MnkVlmPart){.kind = MNK_VLM_TEXT, .text = " the scene"};
  request.n_parts = 4;
  static const char *const choices[] = {" red", " the", " blue", NULL};
  request.choices = choices;
  MnkVlmAnswer answer = {0};
  g_assert_true(tiny_ask(vlm, &request, &answer, NULL));
  float sum = answer.choices[0] + answer.choices[1] + answer.choices[2];
  g_assert_cmpfloat_with_epsilon(sum, 1, 1e-5);
  g_assert_cmpfloat(answer.choices[1], >, 0.9);
  g_assert_cmpstr(answer.text, ==, " the");
  g_assert_cmpuint(answer.answer_tokens, ==, 0);
  mnk_vlm_answer_clear(&answer);

  static const char *const alike[] = {" red", " red wine", NULL};
  static const char *const none[] = {NULL};
  static const char *const empty[] = {"", NULL};
  static const char *const *const bad[] = {alike, none, empty};
  for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    request.choices = bad[i];
    g_assert_false(tiny_ask(vlm, &request, &answer, &error));
    g_assert_error(error, MNK_ERROR, MNK_ERROR_CONFIG);
  }
}

/* ---- Cancelled ---- */

static void cancel_its_user(Asked *asked) {
  mnk_vlm_cancel(asked->user);
}

static void test_cancel(void) {
  g_autoptr(MnkVlm) vlm = load_with("qwen25vl", 512, 4);
  MnkVlmPart parts[2];
  g_autofree char *text = NULL;
  MnkVlmRequest request = caption_of(parts, &text, 1, 10);
  Board board = {0};
  Asked first = {.on_piece = cancel_its_user}, second = {0}, late = {0};
  /* the second is cancelled by the first one's first word, and waits behind it */
  request.tokens_max = 100;
  static const char *const never[] = {"\x01", NULL};
  request.stop = never;
  submit(&board, &second, vlm, &request);
  first.user = second.job;
  request.priority = MNK_VLM_QUESTION;
  submit(&board, &first, vlm, &request);
  wait_for(&board, 2);
  g_assert_no_error(first.error);
  if (second.error)
    g_assert_error(second.error, MNK_ERROR, MNK_ERROR_CANCELLED);
  mnk_vlm_cancel(first.job); /* done: nothing comes of it */

  request.deadline_us = g_get_monotonic_time() - 1;
  submit(&board, &late, vlm, &request);
  wait_for(&board, 3);
  g_assert_error(late.error, MNK_ERROR, MNK_ERROR_CANCELLED);
  g_assert_nonnull(strstr(late.error->message, "in the time that was given"));
  asked_clear(&first);
  asked_clear(&second);
  asked_clear(&late);
  g_assert_cmpuint(mnk_vlm_waiting(vlm, MNK_VLM_CAPTION), ==, 0);
}

static void test_free_while_working(void) {
  enum { N = 12 };
  MnkVlm *vlm = load_with("qwen25vl", 2048, 4);
  Board board = {0};
  Asked asked[N] = {0};
  for (guint i = 0; i < N; i++) {
    MnkVlmPart parts[2];
    g_autofree char *text = NULL;
    MnkVlmRequest request = caption_of(parts, &text, i, 20);
    submit(&board, &asked[i], vlm, &request);
  }
  mnk_vlm_free(vlm);
  g_assert_cmpuint(board.done, ==, N);
  for (guint i = 0; i < N; i++) {
    if (asked[i].error)
      g_assert_error(asked[i].error, MNK_ERROR, MNK_ERROR_CANCELLED);
    mnk_vlm_cancel(asked[i].job);
    asked_clear(&asked[i]);
  }
}

/* ---- Who comes first ---- */

typedef struct {
  MnkVlm *vlm;
  Asked *question;
  const MnkVlmRequest *request;
} Interruption;

static void ask_now(Asked *asked) {
  Interruption *interruption = asked->user;
  if (asked->n_pieces == 1)
    submit(asked->board, interruption->question, interruption->vlm, interruption->request);
}

/* A question comes with the first word of a caption: it is answered first, and the caption goes on
 * as if nothing had been. sequences 1: the caption has to leave its sequence. */
static void test_interrupted(gconstpointer data) {
  guint sequences = GPOINTER_TO_UINT(data);
  g_autoptr(MnkVlm) vlm = load_with("qwen25vl", 512, sequences);
  MnkVlmPart parts[2], question_parts[2];
  g_autofree char *text = NULL, *question_text = NULL;
  MnkVlmRequest request = caption_of(parts, &text, 3, 10);
  MnkVlmRequest question = caption_of(question_parts, &question_text, 4, 20);
  question.priority = MNK_VLM_QUESTION;
  g_autofree char *expected = answer_alone(vlm, &request);
  g_autofree char *expected_question = answer_alone(vlm, &question);

  Board board = {0};
  Asked asked_question = {0};
  Interruption interruption = {vlm, &asked_question, &question};
  Asked asked = {.on_piece = ask_now, .user = &interruption};
  submit(&board, &asked, vlm, &request);
  wait_for(&board, 2);
  g_assert_no_error(asked.error);
  g_assert_no_error(asked_question.error);
  g_assert_cmpuint(asked_question.place, ==, 1);
  g_assert_cmpuint(asked.place, ==, 2);
  g_assert_cmpuint(asked_question.answer.interrupted, ==, 0);
  if (sequences > 1)
    g_assert_cmpuint(asked.answer.interrupted, ==, 1);
  g_assert_cmpstr(asked_question.answer.text, ==, expected_question);
  g_assert_cmpstr(asked.answer.text, ==, expected);
  g_assert_cmpstr(asked.pieces->str, ==, expected);
  asked_clear(&asked);
  asked_clear(&asked_question);
}

typedef struct {
  Asked *cancelled;
  guint piece;
  Interruption interruption;
} Trap;

static void cancel_other(Asked *asked) {
  Trap *trap = asked->user;
  if (asked->n_pieces == trap->piece)
    mnk_vlm_cancel(trap->cancelled->job);
}

/* Called when the decoder has chosen what to go on with: what it begins is given up at once. */
static void ask_on_done(Asked *asked) {
  Interruption *interruption = asked->user;
  submit(asked->board, interruption->question, interruption->vlm, interruption->request);
}

/* In the decoder's thread, which would else be ahead of who submits. */
static void wait_for_others(Asked *asked) {
  Board *board = asked->board;
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&board->mutex);
  while (!board->full)
    g_cond_wait(&board->changed, &board->mutex);
}

static void set_full(Board *board) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&board->mutex);
  board->full = TRUE;
  g_cond_broadcast(&board->changed);
}

/* The prompt of a caption is given up at each of its chunks in turn, also in the midst of a frame
 * whose tokens share their time; what comes of it is what it has alone. */
static void test_given_up(gconstpointer data) {
  enum { CHUNKS = 10 };
  static const char *const choices[] = {"a", "b", "c", NULL};
  g_autoptr(MnkVlm) vlm = load_with(data, 1024, 4);
  g_autoptr(MnkTokens) red = look_at(vlm, 0xdc1414, 224);
  MnkVlmPart parts[3], others[3][2];
  char *texts[4];
  MnkVlmRequest caption = caption_of(parts, &texts[0], 1, 4);
  parts[2] = (MnkVlmPart){.kind = MNK_VLM_TOKENS, .tokens = red};
  caption.n_parts = 3;
  caption.choices = choices;
  MnkVlmRequest talk = caption_of(others[0], &texts[1], 2, 2);
  talk.tokens_max = 40;
  MnkVlmRequest cancelled = caption_of(others[1], &texts[2], 3, 2);
  cancelled.tokens_max = 200;
  MnkVlmRequest question = caption_of(others[2], &texts[3], 4, 2);
  question.priority = MNK_VLM_QUESTION;
  question.tokens_max = 2;
  MnkVlmAnswer expected = {0};
  g_assert_true(tiny_ask(vlm, &caption, &expected, NULL));
  for (guint piece = 1; piece <= CHUNKS; piece++) {
    Board board = {0};
    Asked asked = {0}, asked_question = {0},
          gone = {.on_piece = wait_for_others, .on_done = ask_on_done};
    Trap trap = {&gone, piece, {vlm, &asked_question, &question}};
    Asked talker = {.on_piece = cancel_other, .user = &trap};
    gone.user = &trap.interruption;
    submit(&board, &gone, vlm, &cancelled);
    submit(&board, &talker, vlm, &talk);
    submit(&board, &asked, vlm, &caption);
    set_full(&board);
    wait_for(&board, 4);
    g_assert_no_error(asked.error);
    g_assert_no_error(asked_question.error);
    for (guint i = 0; choices[i]; i++)
      g_assert_cmpfloat_with_epsilon(asked.answer.choices[i], expected.choices[i], 1e-5);
    asked_clear(&asked);
    asked_clear(&asked_question);
    asked_clear(&gone);
    asked_clear(&talker);
  }
  g_assert_cmpuint(mnk_vlm_given_up(vlm), >=, CHUNKS / 2);
  mnk_vlm_answer_clear(&expected);
  for (guint i = 0; i < G_N_ELEMENTS(texts); i++)
    g_free(texts[i]);
}

/* Questions at any moment of captions' prompts, in a context with room for few of them: whatever is
 * given up, cut back or begun anew, each answer is the one that it has alone. */
static void test_crowd(gconstpointer data) {
  enum { N = 6, ROUNDS = 8 };
  const char *family = data;
  g_autoptr(MnkVlm) vlm = load_with(family, 768, 3);
  MnkVlmPart parts[N][3];
  char *texts[N];
  MnkVlmRequest requests[N];
  g_autoptr(GPtrArray) expected = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(MnkTokens) red = look(vlm, 0xdc1414);
  for (guint i = 0; i < N; i++) {
    requests[i] = caption_of(parts[i], &texts[i], i, 20);
    parts[i][2] = (MnkVlmPart){.kind = MNK_VLM_TOKENS, .tokens = red};
    requests[i].n_parts = 3;
    requests[i].temperature = 0;
    requests[i].tokens_max = 6;
    requests[i].priority = i % MNK_VLM_PRIORITIES;
    g_ptr_array_add(expected, answer_alone(vlm, &requests[i]));
  }
  for (guint round = 0; round < ROUNDS; round++) {
    Board board = {0};
    Asked asked[N] = {0};
    for (guint i = N; i-- > 0;) {
      submit(&board, &asked[i], vlm, &requests[i]);
      g_usleep(round * 200);
    }
    wait_for(&board, N);
    for (guint i = 0; i < N; i++) {
      g_assert_no_error(asked[i].error);
      g_assert_cmpstr(asked[i].answer.text, ==, g_ptr_array_index(expected, i));
      asked_clear(&asked[i]);
    }
  }
  for (guint i = 0; i < N; i++)
    g_free(texts[i]);
}

/* ---- Kept beginnings ---- */

static guint cached(MnkVlm *vlm, const char *system, MnkTokens *tokens, char **text) {
  const MnkVlmPart parts[] = {
      {.kind = MNK_VLM_SYSTEM, .text = system},
      {.kind = MNK_VLM_TOKENS, .tokens = tokens},
      {.kind = MNK_VLM_TEXT, .text = " what colour is the scene now"},
  };
  MnkVlmRequest request = {.parts = parts, .n_parts = 3, .prefix = 2, .tokens_max = 8};
  MnkVlmAnswer answer = {0};
  g_autoptr(GError) error = NULL;
  tiny_ask(vlm, &request, &answer, &error);
  g_assert_no_error(error);
  if (text)
    *text = g_strdup(answer.text);
  guint tokens_cached = answer.cached_tokens;
  mnk_vlm_answer_clear(&answer);
  return tokens_cached;
}

static void test_kept(void) {
  g_autoptr(MnkVlm) vlm = load_with("qwen25vl", 2048, 4);
  g_autoptr(MnkTokens) red = look(vlm, 0xdc1414), green = look(vlm, 0x14c81e);
  g_autoptr(MnkTokens) red_again = look(vlm, 0xdc1414);
  g_autofree char *fresh = NULL, *again = NULL;
  guint n;
  g_assert_cmpuint(cached(vlm, "a", red, &fresh), ==, 0);
  g_autofree float *fresh_scores = mnk_vlm_last_logits(vlm, &n);
  guint64 before = mnk_vlm_evaluated(vlm);

  /* the same contents in other objects: the same answer, to the last bit, and little work */
  guint kept = cached(vlm, "a", red_again, &again);
  g_autofree float *again_scores = mnk_vlm_last_logits(vlm, &n);
  g_assert_cmpuint(kept, >, mnk_tokens_count(red));
  g_assert_cmpuint(mnk_vlm_evaluated(vlm) - before, <, 30);
  g_assert_cmpstr(again, ==, fresh);
  g_assert_cmpmem(fresh_scores, n * sizeof(float), again_scores, n * sizeof(float));

  /* another picture after the same text goes on from the text alone */
  guint text_alone = cached(vlm, "a", green, NULL);
  g_assert_cmpuint(text_alone, >, 0);
  g_assert_cmpuint(text_alone, <, kept - mnk_tokens_count(red));
  g_assert_cmpuint(cached(vlm, "b", red, NULL), ==, 0);
}

static void test_kept_longest_unused_goes(void) {
  g_autoptr(MnkVlm) vlm = load_with("qwen25vl", 4096, 4);
  g_autoptr(MnkTokens) red = look(vlm, 0xdc1414);
  static const char *const others[] = {"b", "c", "d"};
  cached(vlm, "a", red, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(others); i++)
    cached(vlm, others[i], red, NULL);
  /* of each both the text and the picture after it are kept: eight in all */
  g_assert_cmpuint(cached(vlm, "a", red, NULL), >, mnk_tokens_count(red));
  cached(vlm, "e", red, NULL);
  g_assert_cmpuint(cached(vlm, "a", red, NULL), >, mnk_tokens_count(red));
  cached(vlm, "f", red, NULL);
  g_assert_cmpuint(cached(vlm, "b", red, NULL), <, mnk_tokens_count(red));
}

/* ---- Grammars ---- */

static const char JSON_GRAMMAR[] = "root ::= \"{\\\"start\\\":\" num \",\\\"text\\\":\" str \"}\"\n"
                                   "num ::= [0-9] [0-9]?\n"
                                   "str ::= \"\\\"\" [a-z ]{3,20} \"\\\"\"\n";

static void test_grammar(void) {
  static const char *const families[] = {"qwen25vl", "smolvlm", "gemma3"};
  for (guint f = 0; f < G_N_ELEMENTS(families); f++) {
    g_autoptr(MnkVlm) vlm = load_with(families[f], 512, 4);
    for (guint32 seed = 0; seed < 5; seed++) {
      const MnkVlmPart part = {.kind = MNK_VLM_USER, .text = "describe the video"};
      MnkVlmRequest request = {.parts = &part,
                               .n_parts = 1,
                               .tokens_max = 100,
                               .temperature = 1,
                               .seed = seed,
                               .grammar = JSON_GRAMMAR};
      MnkVlmAnswer answer = {0};
      g_autoptr(GError) error = NULL;
      tiny_ask(vlm, &request, &answer, &error);
      g_assert_no_error(error);
      g_assert_cmpint(answer.finish, ==, MNK_VLM_END);
      g_assert_true(g_regex_match_simple("^\\{\"start\":[0-9]{1,2},\"text\":\"[a-z ]{3,20}\"\\}$",
                                         answer.text, G_REGEX_DOLLAR_ENDONLY, 0));
      mnk_vlm_answer_clear(&answer);
    }
  }
}

static void test_grammar_refused(void) {
  static const char *const grammars[] = {"", "root ::= missing", "other ::= \"a\"",
                                         "root ::= root \"a\"", "root ::= [a-"};
  g_autoptr(MnkVlm) vlm = load_with("qwen25vl", 512, 4);
  for (guint i = 0; i < G_N_ELEMENTS(grammars); i++) {
    const MnkVlmPart part = {.kind = MNK_VLM_USER, .text = "describe"};
    MnkVlmRequest request = {.parts = &part, .n_parts = 1, .tokens_max = 4};
    request.grammar = grammars[i];
    MnkVlmAnswer answer = {0};
    g_autoptr(GError) error = NULL;
    g_assert_false(tiny_ask(vlm, &request, &answer, &error));
    g_assert_error(error, MNK_ERROR, MNK_ERROR_CONFIG);
  }
}

/* ---- Requests that cannot be ---- */

static void expect_internal(MnkVlm *vlm, const MnkVlmPart *parts, guint n, const char *why) {
  MnkVlmRequest request = {.parts = parts, .n_parts = n, .tokens_max = 4};
  MnkVlmAnswer answer = {0};
  g_autoptr(GError) error = NULL;
  g_assert_false(tiny_ask(vlm, &request, &answer, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_INTERNAL);
  g_assert_nonnull(strstr(error->message, why));
}

static void test_wrong_requests(void) {
  g_autoptr(MnkVlm) vlm = load_with("qwen25vl", 512, 4);
  float rows[2 * 16] = {0};
  g_autoptr(MnkTokens) narrow = mnk_tokens_new(rows, 2, 16, 2, 0, NULL);
  g_autofree float *wide = g_new0(float, 2 * mnk_vlm_files(vlm)->dim);
  g_autoptr(MnkTokens) right = mnk_tokens_new(wide, 2, mnk_vlm_files(vlm)->dim, 2, 0, NULL);
  static const gint32 back[2][3] = {{1, 0, 0}, {0, 0, 1}}, below[2][3] = {{0, -1, 0}};
  const MnkVlmPart too_narrow = {.kind = MNK_VLM_TOKENS, .tokens = narrow};
  const MnkVlmPart goes_back = {.kind = MNK_VLM_TOKENS, .tokens = right, .places = back};
  const MnkVlmPart goes_below = {.kind = MNK_VLM_TOKENS, .tokens = right, .places = below};
  const MnkVlmPart nothing = {.kind = MNK_VLM_TOKENS};
  const MnkVlmPart late[] = {{.kind = MNK_VLM_USER, .text = "a"},
                             {.kind = MNK_VLM_SYSTEM, .text = "b"}};
  expect_internal(vlm, &too_narrow, 1, "of another width");
  expect_internal(vlm, &nothing, 1, "of another width");
  expect_internal(vlm, &goes_back, 1, "time goes back");
  expect_internal(vlm, &goes_below, 1, "out of place");
  expect_internal(vlm, late, 2, "not the first part");
  expect_internal(vlm, late, 0, "no parts");
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/vlm/jobs/answers", test_answers);
  g_test_add_func("/vlm/jobs/limits", test_limits);
  g_test_add_func("/vlm/jobs/long-text", test_long_text);
  g_test_add_func("/vlm/jobs/choices", test_choices);
  g_test_add_func("/vlm/jobs/cancel", test_cancel);
  g_test_add_func("/vlm/jobs/free-while-working", test_free_while_working);
  g_test_add_data_func("/vlm/jobs/interrupted", GUINT_TO_POINTER(4), test_interrupted);
  g_test_add_data_func("/vlm/jobs/interrupted-without-room", GUINT_TO_POINTER(1), test_interrupted);
  g_test_add_data_func("/vlm/jobs/given-up/qwen25vl", "qwen25vl", test_given_up);
  g_test_add_data_func("/vlm/jobs/given-up/smolvlm", "smolvlm", test_given_up);
  g_test_add_data_func("/vlm/jobs/given-up/gemma3", "gemma3", test_given_up);
  g_test_add_data_func("/vlm/jobs/crowd/qwen25vl", "qwen25vl", test_crowd);
  g_test_add_data_func("/vlm/jobs/crowd/smolvlm", "smolvlm", test_crowd);
  g_test_add_data_func("/vlm/jobs/crowd/gemma3", "gemma3", test_crowd);
  g_test_add_func("/vlm/jobs/kept", test_kept);
  g_test_add_func("/vlm/jobs/kept-longest-unused-goes", test_kept_longest_unused_goes);
  g_test_add_func("/vlm/jobs/grammar", test_grammar);
  g_test_add_func("/vlm/jobs/grammar-refused", test_grammar_refused);
  g_test_add_func("/vlm/jobs/wrong-requests", test_wrong_requests);
  return g_test_run();
}
