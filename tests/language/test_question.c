/* What questions need that no service is asked for: words of the past, and backends that are no
 * remote service. */
#include "language/language.h"

#include <string.h>

/* ---- The past ---- */

static void check_past(const char *const *questions, gboolean past) {
  for (guint i = 0; questions[i]; i++)
    if (mnk_question_is_of_the_past(questions[i]) != past)
      g_error("\"%s\" should be of the %s", questions[i], past ? "past" : "present");
}

static void test_past_english(void) {
  static const char *const past[] = {"What was the man doing?",
                                     "Did anyone come in?",
                                     "WHERE WERE THE KEYS",
                                     "what happened at the door",
                                     "Wasn't there a dog?",
                                     "Wasn\u2019t there a dog?",
                                     "How long has it been raining?",
                                     "What is on the table that you saw ten minutes ago",
                                     "Tell me what is so far the score",
                                     "What can be seen at 12:30?",
                                     "what is there at 1:02:03",
                                     "Does he ever look up?",
                                     "How many times does the bell ring?",
                                     "Which colour had the car?",
                                     "Recap, please",
                                     NULL};
  static const char *const present[] = {"What is he doing?",
                                        "What is in front of the house?",
                                        "Who stands before the door?",
                                        "What is on the left?",
                                        "Which one is first in line?",
                                        "Is there a saw on the table?",
                                        "Does the clock show 12:30?",
                                        "what washing powder is that",
                                        "hadron candid everest",
                                        "Look at 3 dogs: how many are black?",
                                        "",
                                        "   ",
                                        "?!",
                                        NULL};
  check_past(past, TRUE);
  check_past(present, FALSE);
}

static void test_past_japanese(void) {
  static const char *const past[] = {"男性は何をしていましたか？",
                                     "犬はいましたか",
                                     "さっきの人は誰？",
                                     "５分前は何が見えますか",
                                     "誰が来たの？",
                                     "何色だった?",
                                     "ドアを開けたのは誰か、誰が見た。",
                                     "本を読んだのか",
                                     "これまでの流れを教えて",
                                     "1分20秒頃の様子は",
                                     "猫は寝ていたか",
                                     NULL};
  static const char *const present[] = {"今、何をしていますか？",
                                        "目の前に何がありますか",
                                        "あなたは誰？",
                                        "また来ますか",
                                        "これは何なんだ",
                                        "家の前に車はある？",
                                        "どなた",
                                        "最近の車ですか",
                                        "箱のふた",
                                        NULL};
  check_past(past, TRUE);
  check_past(present, FALSE);
}

static void test_past_damaged(void) {
  g_assert_false(mnk_question_is_of_the_past(NULL));
  g_assert_false(mnk_question_is_of_the_past("\xff\xfe\xe3\x81"));
  g_assert_true(mnk_question_is_of_the_past("\xff what was \xe3"));
  g_assert_false(mnk_question_is_of_the_past("た"));
  g_assert_false(mnk_question_is_of_the_past("んだ"));
}

static void test_history_names(void) {
  for (MnkHistory history = MNK_HISTORY_AUTO; history <= MNK_HISTORY_NEVER; history++) {
    MnkHistory read = MNK_HISTORY_AUTO;
    g_assert_true(mnk_history_from_name(mnk_history_name(history), &read));
    g_assert_cmpint(read, ==, history);
  }
  MnkHistory untouched = MNK_HISTORY_NEVER;
  g_assert_false(mnk_history_from_name("sometimes", &untouched));
  g_assert_cmpint(untouched, ==, MNK_HISTORY_NEVER);
  /* The option's words stand in the same order. */
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  for (MnkHistory history = MNK_HISTORY_AUTO; history <= MNK_HISTORY_NEVER; history++) {
    g_assert_true(mnk_settings_set(settings, MNK_OPT_HISTORY, mnk_history_name(history), NULL));
    g_assert_cmpint(mnk_settings_int(settings, MNK_OPT_HISTORY), ==, history);
  }
}

/* ---- Plain text in pieces ---- */

static char *plain_of(const char *text, gsize step, gsize max) {
  g_autoptr(MnkPlainText) plain = mnk_plain_text_new(max);
  GString *out = g_string_new(NULL);
  gsize length = strlen(text);
  for (gsize i = 0; i < length; i += step) {
    mnk_plain_text_push(plain, text + i, MIN(step, length - i), out);
    g_assert_true(g_utf8_validate(out->str, -1, NULL)); /* whole characters at any time */
  }
  mnk_plain_text_end(plain, out);
  return g_string_free(out, FALSE);
}

static const struct {
  const char *text, *plain;
} plain_rows[] = {
    {"A dog.", "A dog."},
    {"犬が走る。🐕\u200d🦺", "犬が走る。🐕\u200d🦺"},
    {"  \n one \t two\r\n\r\n  three\u2028four \n", "one two\nthree\nfour"},
    {"\x1b[31mred\x1b[0m \x1b]0;title\x07green\xc2\x9b"
     "1mblue",
     "red greenblue"},
    {"\x1b]0;never ended", "0;never ended"},
    {"one\x1b", "one"},
    {"one\x1b[3", "one"},
    {"a\u202eb\u2066c\x01\x7f\ue000", "abc"},
    {"<think>hm, a <dog></think>\n\nA dog.", "A dog."},
    {"\n <think></think>x", "x"},
    {"<think>never ends", ""},
    {"<thin", "<thin"},
    {"<thinking> aloud", "<thinking> aloud"},
    {"A <think>dog</think>", "A <think>dog</think>"},
    {"a\xff"
     "b\xe3\x81",
     "a\ufffd"
     "b\ufffd\ufffd"},
    {"\xed\xa0\x80", "\ufffd\ufffd\ufffd"},
    {"", ""},
};

/* However the text is cut, the same is told. */
static void test_plain(void) {
  for (guint i = 0; i < G_N_ELEMENTS(plain_rows); i++)
    for (gsize step = 1; step <= strlen(plain_rows[i].text) + 1; step++) {
      g_autofree char *plain = plain_of(plain_rows[i].text, step, 1000);
      g_assert_cmpstr(plain, ==, plain_rows[i].plain);
    }
}

static void test_plain_limits(void) {
  g_autofree char *cut = plain_of("12345 犬 9", 1, 8);
  g_assert_cmpstr(cut, ==, "12345 9"); /* each character that fits, none that does not */
  g_autoptr(MnkPlainText) plain = mnk_plain_text_new(4);
  g_autoptr(GString) out = g_string_new(NULL);
  g_assert_true(mnk_plain_text_push(plain, "1234", 4, out));
  g_assert_true(mnk_plain_text_push(plain, "  \n", 3, out));
  g_assert_false(mnk_plain_text_push(plain, "5", 1, out));
  g_assert_cmpstr(out->str, ==, "1234");
  /* NUL is left out; a control string without an end is not waited for for ever. */
  g_autofree char *held = g_strnfill(10000, 'w');
  g_autofree char *opened = g_strconcat("\x1bP", held, NULL);
  g_autoptr(MnkPlainText) other = mnk_plain_text_new(20000);
  g_string_truncate(out, 0);
  mnk_plain_text_push(other, "a\0b", 3, out);
  mnk_plain_text_push(other, opened, strlen(opened), out);
  g_assert_cmpuint(out->len, ==, 10002);
}

/* ---- A backend of one's own ---- */

typedef struct {
  MnkBackendState state;
  guint captions, cancels, frees;
  gpointer cancelled;
  const MnkBatch *batch;
} Own;

static void own_caption(gpointer self, const MnkBatch *batch, MnkBackendDone done, gpointer user) {
  Own *own = self;
  own->captions++;
  own->batch = batch;
  const MnkBackendAnswer answer = {.attempts = 7};
  done(&answer, NULL, user);
}

static void own_cancel(gpointer self, gpointer user) {
  Own *own = self;
  own->cancels++;
  own->cancelled = user;
}

static MnkBackendState own_state(gpointer self) {
  const Own *own = self;
  return own->state;
}

static const char *own_detail(gpointer self) {
  return "it rests";
}

static const char *own_model(gpointer self) {
  return "own-model";
}

static guint own_images_max(gpointer self) {
  return 3;
}

static void own_counters(gpointer self, MnkBackendCounters *out) {
  *out = (MnkBackendCounters){.calls = 5};
}

static void own_free(gpointer self) {
  Own *own = self;
  own->frees++;
}

static const MnkBackendClass own_class = {
    .name = "own",
    .caption = own_caption,
    .cancel = own_cancel,
    .state = own_state,
    .detail = own_detail,
    .model = own_model,
    .images_max = own_images_max,
    .counters = own_counters,
    .free = own_free,
};

static void on_caption(const MnkBackendAnswer *answer, const GError *error, gpointer user) {
  guint *attempts = user;
  *attempts = answer->attempts;
}

static void on_checked(const GError *error, gpointer user) {
  GError **out = user;
  g_clear_error(out);
  *out = error ? g_error_copy(error) : g_error_new(MNK_ERROR, MNK_ERROR_N, "all is well");
}

static void test_own(void) {
  Own own = {.state = MNK_BACKEND_OK};
  MnkBackend *backend = mnk_backend_new_own(&own_class, &own);
  g_assert_cmpstr(mnk_backend_name(backend), ==, "own");
  g_assert_cmpstr(mnk_backend_model(backend), ==, "own-model");
  g_assert_cmpstr(mnk_backend_detail(backend), ==, "it rests");
  g_assert_cmpuint(mnk_backend_images_max(backend), ==, 3);
  g_assert_cmpint(mnk_backend_state(backend), ==, MNK_BACKEND_OK);
  MnkBackendCounters counters = {0};
  mnk_backend_counters(backend, &counters);
  g_assert_cmpuint(counters.calls, ==, 5);
  g_autoptr(MnkBatch) batch = mnk_batch_new();
  guint attempts = 0;
  mnk_backend_caption(backend, batch, on_caption, &attempts);
  g_assert_cmpuint(attempts, ==, 7);
  g_assert_true(own.batch == batch);
  mnk_backend_cancel(backend, &attempts);
  g_assert_cmpuint(own.cancels, ==, 1);
  g_assert_true(own.cancelled == &attempts);
  mnk_backend_free(backend);
  g_assert_cmpuint(own.frees, ==, 1);
}

static void test_own_check(void) {
  Own own = {.state = MNK_BACKEND_DEGRADED};
  g_autoptr(MnkBackend) backend = mnk_backend_new_own(&own_class, &own);
  g_autoptr(GError) said = NULL;
  mnk_backend_check(backend, on_checked, &said);
  g_assert_error(said, MNK_ERROR, MNK_ERROR_N);
  own.state = MNK_BACKEND_DOWN;
  mnk_backend_check(backend, on_checked, &said);
  g_assert_error(said, MNK_ERROR, MNK_ERROR_SOURCE);
  g_assert_cmpstr(said->message, ==, "own: it rests");
  mnk_backend_check(backend, NULL, NULL);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/question/past/english", test_past_english);
  g_test_add_func("/question/past/japanese", test_past_japanese);
  g_test_add_func("/question/past/damaged", test_past_damaged);
  g_test_add_func("/question/history-names", test_history_names);
  g_test_add_func("/question/plain", test_plain);
  g_test_add_func("/question/plain-limits", test_plain_limits);
  g_test_add_func("/question/own", test_own);
  g_test_add_func("/question/own-check", test_own_check);
  return g_test_run();
}
