/* Standing questions: the rule, and who is asked when. */
#include "fakes.h"

#include <math.h>
#include <string.h>

/* ---- The rule ---- */

typedef struct {
  gint64 now_ms;
  double probability;
  gboolean fires;
} Poll;

static void check_rule(const Poll *polls, guint n, gint64 since_ms) {
  MnkStandingRule rule;
  mnk_standing_rule_init(&rule, 0.6, 10000);
  for (guint i = 0; i < n; i++)
    if (mnk_standing_rule_poll(&rule, polls[i].probability, polls[i].now_ms) != polls[i].fires)
      g_error("poll %u should%s fire", i, polls[i].fires ? "" : " not");
  g_assert_cmpint(rule.since_ms, ==, since_ms);
}

static void test_rule(void) {
  static const Poll twice[] = {{1000, 0.6, FALSE}, {2000, 0.7, TRUE}, {3000, 0.9, FALSE}};
  check_rule(twice, G_N_ELEMENTS(twice), 1000);
  static const Poll once[] = {
      {1000, 0.9, FALSE}, {2000, 0.59, FALSE}, {3000, 0.9, FALSE}, {4000, 0.59, FALSE}};
  check_rule(once, G_N_ELEMENTS(once), 3000);
  /* No number is no poll. */
  static const Poll nan[] = {{1000, 0.9, FALSE}, {2000, NAN, FALSE}, {3000, 0.9, TRUE}};
  check_rule(nan, G_N_ELEMENTS(nan), 1000);
  /* Still true when the cool-down is over: nothing new. 0.55 is not below 0.54. */
  static const Poll still[] = {{0, 0.9, FALSE},      {1000, 0.9, TRUE},   {12000, 0.9, FALSE},
                               {13000, 0.55, FALSE}, {14000, 0.9, FALSE}, {15000, 0.9, FALSE}};
  check_rule(still, G_N_ELEMENTS(still), 0);
  /* False in between: told again, once the cool-down is over. */
  static const Poll again[] = {{0, 0.9, FALSE},    {1000, 0.9, TRUE},  {2000, 0.5, FALSE},
                               {3000, 0.9, FALSE}, {4000, 0.9, FALSE}, {10999, 0.9, FALSE},
                               {11000, 0.9, TRUE}};
  check_rule(again, G_N_ELEMENTS(again), 3000);
  /* A clock that begins anew. */
  static const Poll anew[] = {{50000, 0.9, FALSE},
                              {51000, 0.9, TRUE},
                              {0, 0.1, FALSE},
                              {1000, 0.9, FALSE},
                              {2000, 0.9, TRUE}};
  check_rule(anew, G_N_ELEMENTS(anew), 1000);
}

/* ---- Polls ---- */

static Place place;
static MnkAsker *asker;
static FakeBackend fake;
static MnkBackend *backend;
static GString *fired;
static MnkStanding *free_when_fired;

static void setup(const char *more) {
  g_autoptr(MnkSettings) settings = fakes_settings(more);
  place_open(&place);
  place_add_stream(&place, "yard");
  place_add_caption(&place, "yard", 1, 0, 9000, "A dog runs.", TRUE);
  mnk_store_flush(place.store, NULL);
  asker = mnk_asker_new(settings, place.store);
  backend = fake_backend_new(&fake, "openai");
  fired = g_string_new(NULL);
  fake_local_reset();
}

static void teardown(void) {
  fakes_settle(place.store);
  g_clear_pointer(&asker, mnk_asker_free);
  g_clear_pointer(&backend, mnk_backend_free);
  place_close(&place);
  g_string_free(fired, TRUE);
  fake_local_reset();
}

static void on_fired(const char *id, const char *question, gint64 start_ms, gint64 end_ms,
                     double probability, gpointer user) {
  g_string_append_printf(fired, "%s \"%s\" %" G_GINT64_FORMAT "-%" G_GINT64_FORMAT " %.2f;", id,
                         question, start_ms, end_ms, probability);
  g_assert_true(user == &place);
  g_clear_pointer(&free_when_fired, mnk_standing_free);
}

static MnkStanding *stand(const MnkAskRequest *request) {
  g_autoptr(GError) error = NULL;
  MnkStanding *standing = mnk_standing_new(asker, "w1", request, on_fired, &place, &error);
  g_assert_no_error(error);
  return standing;
}

static MnkAskRequest local_request(void) {
  MnkAskRequest request = fakes_request("yard", "Is a <|im_start|>dog\nthere?\x1b[31m");
  request.memory = FAKE_MEMORY;
  return request;
}

static void test_local(void) {
  setup("watch-s=2s,watch-threshold=0.5,watch-cooldown-s=5s");
  MnkAskRequest request = local_request();
  g_autoptr(MnkStanding) standing = stand(&request);
  g_auto(MnkStandingState) before = {0};
  mnk_standing_state(standing, &before);
  g_assert_true(isnan(before.probability));
  g_assert_cmpint(before.polled_ms, ==, -1);
  g_assert_cmpint(before.every_ms, ==, 2000);
  mnk_standing_advance(standing, 1000, FALSE); /* at once, the first time */
  g_assert_cmpstr(fake_local(0)->question, ==, "Is a ‹|im_start¦>dog\nthere?");
  mnk_standing_advance(standing, 1500, TRUE); /* one at a time */
  g_assert_cmpuint(fake_local_count(), ==, 1);
  fake_local_say(0, 0.9f, 900);
  mnk_standing_advance(standing, 1600, FALSE); /* the scene of before is remembered */
  g_assert_cmpuint(fake_local_count(), ==, 2);
  fake_local_say(1, 0.25f, 1600);
  mnk_standing_advance(standing, 3599, FALSE); /* too early */
  g_assert_cmpuint(fake_local_count(), ==, 2);
  mnk_standing_advance(standing, 3600, FALSE);
  fake_local_say(2, 0.75f, 3500);
  mnk_standing_advance(standing, 3700, TRUE); /* a scene begins */
  fake_local_say(3, 0.8f, 3650);
  g_assert_cmpstr(fired->str, ==, "w1 \"Is a <|im_start|>dog there?\" 3500-3650 0.80;");
  g_auto(MnkStandingState) after = {0};
  mnk_standing_state(standing, &after);
  g_assert_cmpuint(after.polls, ==, 4);
  g_assert_cmpuint(after.fired, ==, 1);
  g_assert_cmpint(after.fired_ms, ==, 3650);
  g_assert_cmpfloat_with_epsilon(after.probability, 0.8, 1e-6);
  g_assert_null(after.fault);
  teardown();
}

static void test_failures(void) {
  setup("watch-s=1s");
  MnkAskRequest request = local_request();
  g_autoptr(MnkStanding) standing = stand(&request);
  mnk_standing_advance(standing, 1000, FALSE);
  fake_local_fail(0, MNK_ERROR_WORKER);
  g_auto(MnkStandingState) failed = {0};
  mnk_standing_state(standing, &failed);
  g_assert_cmpuint(failed.failures, ==, 1);
  g_assert_cmpstr(failed.fault, ==, "the worker died");
  mnk_standing_advance(standing, 2000, FALSE); /* and goes on */
  fake_local_say(1, NAN, 2000);
  mnk_standing_advance(standing, 3000, FALSE);
  fake_local_say(2, 0.1f, 3000);
  g_auto(MnkStandingState) well = {0};
  mnk_standing_state(standing, &well);
  g_assert_cmpuint(well.failures, ==, 2);
  g_assert_null(well.fault);
  teardown();
}

static MnkAskRequest remote_request(const char *question) {
  MnkAskRequest request = fakes_request("yard", question);
  request.backend = backend;
  return request;
}

/* Yes against no, as the local model has it; the text counts only where nothing is known of them.
 */
static void test_remote_probability(void) {
  setup("watch-s=1s");
  MnkAskRequest request = remote_request("Is there a dog?");
  g_autoptr(MnkStanding) standing = stand(&request);
  static const struct {
    const char *text;
    double yes, no, probability;
  } rows[] = {{"No", 0.3, 0.1, 0.75}, {"", 0.2, 0.6, 0.25}, {"Yes", 0, 0.4, 0}, {"Yes", 0, 0, 1}};
  for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
    mnk_standing_advance(standing, 5000 * (i + 1), FALSE);
    fakes_settle(place.store);
    g_assert_true(fake_backend(&fake, i)->asked.yes_or_no);
    fake_backend_grade(&fake, i, rows[i].text, rows[i].yes, rows[i].no);
    g_auto(MnkStandingState) state = {0};
    mnk_standing_state(standing, &state);
    g_assert_null(state.fault);
    g_assert_cmpfloat_with_epsilon(state.probability, rows[i].probability, 1e-9);
  }
  teardown();
}

static void test_remote(void) {
  setup("watch-s=1s");
  MnkAskRequest request = remote_request("Is there a dog?");
  g_autoptr(MnkStanding) standing = stand(&request);
  static const struct {
    gint64 now_ms;
    gboolean scene;
    const char *said;
    double probability; /* NAN: it fails */
  } rows[] = {{5000, FALSE, "Yes.", 1},           {10000, FALSE, "**No**, there is not.", 0},
              {12000, TRUE, "はい、います。", 1}, {17000, FALSE, "いいえ", 0},
              {22000, FALSE, "Yesterday", NAN},   {27000, FALSE, "I cannot tell", NAN},
              {32000, FALSE, "yes", 1},           {37000, FALSE, "YES!", 1}};
  for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
    mnk_standing_advance(standing, rows[i].now_ms - 1, FALSE); /* too early, but for the first */
    if (i > 0)
      g_assert_cmpuint(fake.asks->len, ==, i);
    mnk_standing_advance(standing, rows[i].now_ms, rows[i].scene);
    fakes_settle(place.store);
    const FakeBackendAsk *asked = fake_backend(&fake, i);
    g_assert_cmpuint(asked->times->len, ==, 1);
    g_assert_nonnull(strstr(asked->system, "yes or no"));
    fake_backend_answer(&fake, i, rows[i].said);
    g_auto(MnkStandingState) state = {0};
    mnk_standing_state(standing, &state);
    g_assert_cmpuint(state.polls, ==, i + 1);
    g_assert_true((state.fault != NULL) == isnan(rows[i].probability));
    if (!state.fault)
      g_assert_cmpfloat(state.probability, ==, rows[i].probability);
  }
  g_assert_cmpstr(fired->str, ==, "w1 \"Is there a dog?\" 32000-37000 1.00;");
  mnk_standing_advance(standing, 42000, FALSE);
  fakes_settle(place.store);
  fake_backend_fail(&fake, G_N_ELEMENTS(rows), MNK_ERROR_SOURCE);
  g_auto(MnkStandingState) failed = {0};
  mnk_standing_state(standing, &failed);
  g_assert_cmpstr(failed.fault, ==, "the service is down");
  teardown();
}

static void test_no_picture(void) {
  setup("");
  MnkAskRequest request = remote_request("Is there a dog?");
  request.stream = "nowhere";
  g_autoptr(MnkStanding) standing = stand(&request);
  mnk_standing_advance(standing, 1000, FALSE);
  fakes_settle(place.store);
  g_auto(MnkStandingState) state = {0};
  mnk_standing_state(standing, &state);
  g_assert_cmpuint(state.failures, ==, 1);
  g_assert_cmpuint(fake.asks->len, ==, 0);
  teardown();
}

static void test_refused(void) {
  setup("question-max=64");
  g_autofree char *long_text = g_strnfill(100, 'w');
  const struct {
    const char *question;
    gboolean model;
    int code;
  } rows[] = {{"Is there a dog?", FALSE, MNK_ERROR_CONFIG},
              {" ", TRUE, MNK_ERROR_BAD_INPUT},
              {"\xff", TRUE, MNK_ERROR_BAD_INPUT},
              {long_text, TRUE, MNK_ERROR_LIMIT}};
  for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GError) error = NULL;
    MnkAskRequest request = fakes_request("yard", rows[i].question);
    request.memory = rows[i].model ? FAKE_MEMORY : NULL;
    g_assert_null(mnk_standing_new(asker, "w", &request, on_fired, &place, &error));
    g_assert_error(error, MNK_ERROR, rows[i].code);
  }
  teardown();
}

/* Freed at every stage: nothing comes any more. */
static void test_free(void) {
  setup("");
  MnkAskRequest local = local_request(), remote = remote_request("Is there a dog?");
  MnkStanding *asked = stand(&local), *gathering = stand(&remote), *asking = stand(&remote);
  mnk_standing_advance(asked, 1000, FALSE);
  mnk_standing_free(asked);
  g_assert_true(fake_local(0)->cancelled);
  mnk_standing_advance(gathering, 1000, FALSE);
  mnk_standing_free(gathering);
  mnk_standing_advance(asking, 5000, FALSE);
  fakes_settle(place.store);
  g_assert_cmpuint(fake.asks->len, ==, 1);
  mnk_standing_free(asking);
  g_assert_true(fake_backend(&fake, 0)->cancelled);
  /* And from within. */
  free_when_fired = stand(&local);
  mnk_standing_advance(free_when_fired, 1000, FALSE);
  fake_local_say(1, 0.9f, 1000);
  mnk_standing_advance(free_when_fired, 2000, FALSE);
  fake_local_say(2, 0.9f, 2000);
  g_assert_null(free_when_fired);
  teardown();
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/standing/rule", test_rule);
  g_test_add_func("/standing/local", test_local);
  g_test_add_func("/standing/failures", test_failures);
  g_test_add_func("/standing/remote", test_remote);
  g_test_add_func("/standing/remote-probability", test_remote_probability);
  g_test_add_func("/standing/no-picture", test_no_picture);
  g_test_add_func("/standing/refused", test_refused);
  g_test_add_func("/standing/free", test_free);
  return g_test_run();
}
