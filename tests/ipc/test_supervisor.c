/* Supervisor: whatever becomes of the worker, it is known why, it comes back, and nothing stays. */
#include "ipc/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
  MnkSupervisor *supervisor;
  guint started, died, messages;
  guint attempt; /* the last */
  gboolean given_up;
  GString *log;       /* "started", "message", "died", in order */
  char *why;          /* of the last death */
  char *last_payload; /* of the last message */
  /* What to do with the supervisor inside the event of this name. */
  const char *free_at, *stop_at;
  gboolean outlive; /* the first message is not left before the worker has ended */
} Fixture;

static void act(Fixture *fixture, const char *event) {
  g_string_append_printf(fixture->log, "%s ", event);
  if (g_strcmp0(fixture->stop_at, event) == 0)
    mnk_supervisor_stop(fixture->supervisor, 0);
  if (g_strcmp0(fixture->free_at, event) == 0)
    g_clear_pointer(&fixture->supervisor, mnk_supervisor_free);
}

static void on_started(MnkChannel *channel, guint attempt, gpointer user) {
  Fixture *fixture = user;
  fixture->started++;
  fixture->attempt = attempt;
  g_assert_true(mnk_supervisor_channel(fixture->supervisor) == channel);
  g_assert_cmpint(mnk_supervisor_pid(fixture->supervisor), >, 0);
  act(fixture, "started");
}

static void on_message(MnkMessage *message, gpointer user) {
  Fixture *fixture = user;
  gsize length;
  const char *text = g_bytes_get_data(message->payload, &length);
  fixture->messages++;
  g_free(fixture->last_payload);
  fixture->last_payload = g_strndup(text, length);
  siginfo_t info;
  if (fixture->outlive && fixture->messages == 1)
    waitid(P_PID, (id_t)mnk_supervisor_pid(fixture->supervisor), &info, WEXITED | WNOWAIT);
  act(fixture, "message");
}

static void on_died(const char *why, gboolean given_up, gpointer user) {
  Fixture *fixture = user;
  fixture->died++;
  fixture->given_up = given_up;
  g_free(fixture->why);
  fixture->why = g_strdup(why);
  g_assert_null(mnk_supervisor_channel(fixture->supervisor));
  g_assert_cmpint(mnk_supervisor_pid(fixture->supervisor), ==, 0);
  act(fixture, "died");
}

static char *child_path(void) {
  return g_test_build_filename(G_TEST_BUILT, "ipc_child", NULL);
}

static void fixture_make(Fixture *fixture, const char *mode, guint deaths_max, gint64 hang_ms) {
  g_autofree char *path = child_path();
  const char *argv[] = {path, mode, NULL};
  const MnkSupervisorConfig config = {.argv = argv,
                                      .deaths_max = deaths_max,
                                      .backoff_min_ms = 1,
                                      .backoff_max_ms = 2,
                                      .hang_ms = hang_ms};
  const MnkSupervisorEvents events = {on_started, on_message, on_died};
  *fixture = (Fixture){.log = g_string_new(NULL)};
  fixture->supervisor = mnk_supervisor_new(&config, &events, fixture);
}

static void fixture_start(Fixture *fixture) {
  g_autoptr(GError) error = NULL;
  g_assert_true(mnk_supervisor_start(fixture->supervisor, &error));
  g_assert_no_error(error);
}

/* Every process that was started must have been reaped. */
static void fixture_clear(Fixture *fixture) {
  mnk_supervisor_free(fixture->supervisor);
  g_free(fixture->why);
  g_free(fixture->last_payload);
  g_string_free(fixture->log, TRUE);
  g_assert_cmpint(waitpid(-1, NULL, WNOHANG), ==, -1);
  g_assert_cmpint(errno, ==, ECHILD);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fixture, fixture_clear)

static gboolean on_patience_over(gpointer data) {
  g_error("the awaited event did not come within a minute");
  return G_SOURCE_REMOVE;
}

#define ITERATE_UNTIL(condition)                                                                   \
  G_STMT_START {                                                                                   \
    guint patience = g_timeout_add_seconds(60, on_patience_over, NULL);                            \
    while (!(condition))                                                                           \
      g_main_context_iteration(NULL, TRUE);                                                        \
    g_source_remove(patience);                                                                     \
  }                                                                                                \
  G_STMT_END

/* Lets whatever is still due come. */
static gboolean on_moment_over(gpointer data) {
  *(gboolean *)data = TRUE;
  return G_SOURCE_REMOVE;
}

static void iterate_for_a_moment(void) {
  gboolean over = FALSE;
  g_timeout_add(50, on_moment_over, &over);
  while (!over)
    g_main_context_iteration(NULL, TRUE);
}

static guint count_descriptors(void) {
  guint n = 0;
  for (int fd = 0; fd < 1024; fd++)
    n += fcntl(fd, F_GETFD) >= 0;
  return n;
}

static void test_normal(void) {
  g_auto(Fixture) fixture = {0};
  fixture_make(&fixture, "answer", 5, 0);
  fixture_start(&fixture);
  g_assert_cmpuint(fixture.started, ==, 0); /* never from within a call */
  ITERATE_UNTIL(fixture.messages == 1);
  g_assert_cmpuint(fixture.attempt, ==, 0);
  MnkChannel *channel = mnk_supervisor_channel(fixture.supervisor);
  g_assert_true(mnk_channel_send(channel, MNK_MSG_SET, 0, "{}", 2, -1, 0, NULL));
  ITERATE_UNTIL(fixture.messages == 2);
  g_assert_cmpstr(fixture.last_payload, ==, "set");
  mnk_supervisor_stop(fixture.supervisor, 60000);
  g_assert_null(mnk_supervisor_channel(fixture.supervisor));
  g_assert_cmpint(mnk_supervisor_pid(fixture.supervisor), ==, 0);
  iterate_for_a_moment();
  g_assert_cmpuint(fixture.died, ==, 0);
}

static void test_descriptors_of_the_worker(void) {
  int extra = open("/", O_RDONLY); /* without close-on-exec */
  int input = dup(0);
  g_assert_cmpint(dup2(extra, 100), ==, 100);
  g_assert_cmpint(dup2(extra, 0), ==, 0);
  g_auto(Fixture) fixture = {0};
  fixture_make(&fixture, "answer", 5, 0);
  fixture_start(&fixture);
  ITERATE_UNTIL(fixture.messages == 1);
  g_assert_cmpstr(fixture.last_payload, ==, "0/dev/null 1 2 3");
  if (input >= 0)
    dup2(input, 0);
  close(input);
  close(extra);
  close(100);
}

static void test_start_again_after_stop(void) {
  g_auto(Fixture) fixture = {0};
  fixture_make(&fixture, "answer", 1, 0);
  for (guint i = 1; i <= 3; i++) {
    fixture_start(&fixture);
    fixture_start(&fixture); /* is up: nothing happens */
    ITERATE_UNTIL(fixture.messages == i);
    g_assert_cmpuint(fixture.attempt, ==, 0);
    mnk_supervisor_stop(fixture.supervisor, 60000);
  }
  g_assert_cmpuint(fixture.started, ==, 3);
}

static void test_no_program(void) {
  const char *argv[] = {"/nonexistent/worker", NULL};
  const MnkSupervisorConfig config = {.argv = argv};
  const MnkSupervisorEvents events = {0};
  g_autoptr(MnkSupervisor) supervisor = mnk_supervisor_new(&config, &events, NULL);
  g_autoptr(GError) error = NULL;
  g_assert_false(mnk_supervisor_start(supervisor, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_WORKER);
}

/* Executable by its mode, but no program: exec itself fails. */
static void test_no_executable(void) {
  g_autofree char *path = NULL;
  int fd = g_file_open_tmp("manako-test-XXXXXX", &path, NULL);
  g_assert_cmpint(write(fd, "\177ELF", 4), ==, 4);
  g_assert_cmpint(fchmod(fd, 0700), ==, 0);
  close(fd);
  const char *argv[] = {path, NULL};
  const MnkSupervisorConfig config = {.argv = argv};
  const MnkSupervisorEvents events = {0};
  g_autoptr(MnkSupervisor) supervisor = mnk_supervisor_new(&config, &events, NULL);
  g_autoptr(GError) error = NULL;
  g_assert_false(mnk_supervisor_start(supervisor, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_WORKER);
  unlink(path);
}

static void test_given_up(void) {
  g_auto(Fixture) fixture = {0};
  fixture_make(&fixture, "exit", 4, 0);
  fixture_start(&fixture);
  ITERATE_UNTIL(fixture.given_up);
  g_assert_cmpuint(fixture.started, ==, 4);
  g_assert_cmpuint(fixture.died, ==, 4);
  g_assert_cmpuint(fixture.attempt, ==, 3);
  g_assert_cmpstr(fixture.why, ==, "exit status 3");
  g_assert_cmpstr(fixture.log->str, ==, "started died started died started died started died ");
  iterate_for_a_moment();
  g_assert_cmpuint(fixture.started, ==, 4);
}

static void test_killed(void) {
  g_auto(Fixture) fixture = {0};
  fixture_make(&fixture, "answer", 5, 0);
  fixture_start(&fixture);
  ITERATE_UNTIL(fixture.messages == 1);
  GPid first = mnk_supervisor_pid(fixture.supervisor);
  kill(first, SIGKILL);
  ITERATE_UNTIL(fixture.messages == 2);
  g_assert_cmpstr(fixture.why, ==, "killed by signal 9");
  g_assert_false(fixture.given_up);
  g_assert_cmpuint(fixture.attempt, ==, 1);
  g_assert_cmpint(mnk_supervisor_pid(fixture.supervisor), !=, first);
}

static void test_hung(void) {
  g_auto(Fixture) fixture = {0};
  fixture_make(&fixture, "answer", 5, 2000);
  fixture_start(&fixture);
  ITERATE_UNTIL(fixture.messages == 1);
  kill(mnk_supervisor_pid(fixture.supervisor), SIGSTOP);
  ITERATE_UNTIL(fixture.messages == 2);
  g_assert_cmpstr(fixture.why, ==, "did not answer for 2 s");
}

/* Pongs are answers, and are the supervisor's own. */
static void test_answering_is_not_hung(void) {
  g_auto(Fixture) fixture = {0};
  fixture_make(&fixture, "answer", 5, 5000); /* longer than any start takes */
  fixture_start(&fixture);
  for (int i = 0; i < 120; i++)
    iterate_for_a_moment();
  g_assert_cmpuint(fixture.messages, ==, 1);
  g_assert_cmpuint(fixture.died, ==, 0);
}

static void test_garbage(void) {
  g_auto(Fixture) fixture = {0};
  fixture_make(&fixture, "garbage", 5, 0);
  fixture_start(&fixture);
  ITERATE_UNTIL(fixture.started == 2);
  g_assert_true(g_str_has_prefix(fixture.why, "broke the protocol: "));
}

static void test_wrong_way(void) {
  g_auto(Fixture) fixture = {0};
  fixture_make(&fixture, "wrong-way", 5, 0);
  fixture_start(&fixture);
  ITERATE_UNTIL(fixture.started == 2);
  g_assert_true(g_str_has_prefix(fixture.why, "broke the protocol: "));
  g_assert_cmpuint(fixture.messages, ==, 0);
}

static void test_closed_channel(void) {
  g_auto(Fixture) fixture = {0};
  fixture_make(&fixture, "close", 5, 0);
  fixture_start(&fixture);
  ITERATE_UNTIL(fixture.started == 2);
  g_assert_cmpstr(fixture.why, ==, "closed its channel");
}

/* What a worker said before it died comes before the news of its death. */
static void test_last_words(void) {
  g_auto(Fixture) fixture = {0};
  fixture_make(&fixture, "talk", 1, 0);
  fixture.outlive = TRUE;
  fixture_start(&fixture);
  ITERATE_UNTIL(fixture.given_up);
  g_assert_cmpuint(fixture.messages, ==, 50);
  g_assert_cmpstr(fixture.why, ==, "exit status 3");
  g_assert_true(g_str_has_suffix(fixture.log->str, "message died "));
}

static void test_stop_the_stubborn(void) {
  const char *modes[] = {"stubborn", "flood", "garbage"};
  for (guint i = 0; i < G_N_ELEMENTS(modes); i++) {
    g_auto(Fixture) fixture = {0};
    fixture_make(&fixture, modes[i], 5, 0);
    fixture_start(&fixture);
    ITERATE_UNTIL(fixture.started == 1);
    mnk_supervisor_stop(fixture.supervisor, 20);
    g_assert_cmpint(mnk_supervisor_pid(fixture.supervisor), ==, 0);
  }
}

static void test_stop_before_the_first_event(void) {
  g_auto(Fixture) fixture = {0};
  fixture_make(&fixture, "answer", 5, 0);
  fixture_start(&fixture);
  mnk_supervisor_stop(fixture.supervisor, 0);
  iterate_for_a_moment();
  g_assert_cmpstr(fixture.log->str, ==, "");
}

/* Freed or stopped inside each event, with more of them due. */
static void test_free_within_events(void) {
  const struct {
    const char *mode, *event;
  } cases[] = {{"answer", "started"}, {"answer", "message"}, {"talk", "message"},
               {"exit", "started"},   {"exit", "died"},      {"garbage", "died"},
               {"flood", "message"}};
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_auto(Fixture) fixture = {0};
    fixture_make(&fixture, cases[i].mode, 0, 1000);
    fixture.free_at = cases[i].event;
    fixture_start(&fixture);
    ITERATE_UNTIL(fixture.supervisor == NULL);
    gsize length = fixture.log->len;
    iterate_for_a_moment();
    g_assert_cmpuint(fixture.log->len, ==, length);
  }
}

static void test_stop_within_events(void) {
  const struct {
    const char *mode, *event;
  } cases[] = {{"answer", "started"}, {"talk", "message"}, {"exit", "died"}};
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_auto(Fixture) fixture = {0};
    fixture_make(&fixture, cases[i].mode, 0, 1000);
    fixture.stop_at = cases[i].event;
    fixture_start(&fixture);
    ITERATE_UNTIL(strstr(fixture.log->str, cases[i].event));
    gsize length = fixture.log->len;
    iterate_for_a_moment();
    g_assert_cmpuint(fixture.log->len, ==, length);
    g_assert_cmpint(mnk_supervisor_pid(fixture.supervisor), ==, 0);
  }
}

static void test_many_restarts_leak_nothing(void) {
  enum { RESTARTS = 200 };
  g_auto(Fixture) fixture = {0};
  fixture_make(&fixture, "exit", 0, 1000);
  guint before = count_descriptors();
  fixture_start(&fixture);
  ITERATE_UNTIL(fixture.died == RESTARTS);
  mnk_supervisor_stop(fixture.supervisor, 0);
  g_assert_cmpuint(count_descriptors(), <=, before + 1); /* GLib may have made its own wake-up */
  g_assert_cmpuint(fixture.attempt, ==, RESTARTS - 1);
}

/* kill -9 of the server: its worker, of whom nobody knows any more, must die. */
static void test_dead_parent(void) {
  g_autofree char *path = child_path();
  char *argv[] = {path, (char *)"supervise", NULL};
  GPid parent;
  int from_parent;
  prctl(PR_SET_CHILD_SUBREAPER, 1); /* the orphan becomes ours */
  g_assert_true(g_spawn_async_with_pipes(NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL,
                                         &parent, NULL, &from_parent, NULL, NULL));
  char text[32] = "";
  g_assert_cmpint(read(from_parent, text, sizeof text - 1), >, 0);
  pid_t worker = (pid_t)g_ascii_strtoll(text, NULL, 10);
  g_assert_cmpint(kill(worker, 0), ==, 0);
  kill(parent, SIGKILL);
  g_assert_cmpint(waitpid(parent, NULL, 0), ==, parent);
  int status;
  g_assert_cmpint(waitpid(worker, &status, 0), ==, worker);
  g_assert_true(WIFSIGNALED(status));
  g_assert_cmpint(WTERMSIG(status), ==, SIGKILL);
  close(from_parent);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  mnk_log_set_level(MNK_LOG_ERROR);
  g_test_add_func("/ipc/supervisor/normal", test_normal);
  g_test_add_func("/ipc/supervisor/descriptors-of-the-worker", test_descriptors_of_the_worker);
  g_test_add_func("/ipc/supervisor/start-again-after-stop", test_start_again_after_stop);
  g_test_add_func("/ipc/supervisor/no-program", test_no_program);
  g_test_add_func("/ipc/supervisor/no-executable", test_no_executable);
  g_test_add_func("/ipc/supervisor/given-up", test_given_up);
  g_test_add_func("/ipc/supervisor/killed", test_killed);
  g_test_add_func("/ipc/supervisor/hung", test_hung);
  g_test_add_func("/ipc/supervisor/answering-is-not-hung", test_answering_is_not_hung);
  g_test_add_func("/ipc/supervisor/garbage", test_garbage);
  g_test_add_func("/ipc/supervisor/wrong-way", test_wrong_way);
  g_test_add_func("/ipc/supervisor/closed-channel", test_closed_channel);
  g_test_add_func("/ipc/supervisor/last-words", test_last_words);
  g_test_add_func("/ipc/supervisor/stop-the-stubborn", test_stop_the_stubborn);
  g_test_add_func("/ipc/supervisor/stop-before-the-first-event", test_stop_before_the_first_event);
  g_test_add_func("/ipc/supervisor/free-within-events", test_free_within_events);
  g_test_add_func("/ipc/supervisor/stop-within-events", test_stop_within_events);
  g_test_add_func("/ipc/supervisor/many-restarts-leak-nothing", test_many_restarts_leak_nothing);
  g_test_add_func("/ipc/supervisor/dead-parent", test_dead_parent);
  return g_test_run();
}
