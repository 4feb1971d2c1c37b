/* A worker for the tests of the supervisor: child MODE [VALUE] --fd N. */
#include "ipc/ipc.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static void send_text(MnkChannel *channel, MnkMessageType type, const char *text) {
  mnk_channel_send(channel, type, 0, text, strlen(text), -1, -1, NULL);
}

/* "0 1 2 3": the descriptors that it was started with. */
static char *open_descriptors(void) {
  GString *list = g_string_new(NULL);
  for (int fd = 0; fd < 1024; fd++) {
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autofree char *target = g_file_read_link(link, NULL);
    if (target)
      g_string_append_printf(list, "%s%d%s", list->len ? " " : "", fd, fd == 0 ? target : "");
  }
  return g_string_free(list, FALSE);
}

/* Answers as a worker should, until it is told to quit or its server is gone. */
static int answer(MnkChannel *channel, const char *fds) {
  send_text(channel, MNK_MSG_READY, fds);
  for (;;) {
    g_autoptr(MnkMessage) message = mnk_channel_receive(channel, -1, NULL);
    if (!message)
      return 4;
    if (message->type == MNK_MSG_QUIT)
      return 0;
    if (message->type == MNK_MSG_PING)
      send_text(channel, MNK_MSG_PONG, "");
    if (message->type == MNK_MSG_SET)
      send_text(channel, MNK_MSG_COUNTERS, "set");
  }
}

static int talk_then_exit(MnkChannel *channel) {
  for (int i = 0; i < 50; i++)
    send_text(channel, MNK_MSG_OBSERVATION, "words");
  return 3;
}

static int flood(MnkChannel *channel) {
  static char block[100000];
  signal(SIGTERM, SIG_IGN);
  while (mnk_channel_send(channel, MNK_MSG_OBSERVATION, 0, block, sizeof block, -1, -1, NULL))
    continue;
  return 5;
}

static int write_garbage(MnkChannel *channel) {
  const char junk[] = "GET / HTTP/1.1\r\nHost: worker\r\n\r\n";
  gssize written G_GNUC_UNUSED = write(mnk_channel_fd(channel), junk, sizeof junk);
  pause();
  return 0;
}

/* Supervises an answering worker; tells its id on standard output. */
static void tell_pid(MnkChannel *channel, guint attempt, gpointer user) {
  MnkSupervisor **supervisor = user;
  printf("%d\n", (int)mnk_supervisor_pid(*supervisor));
  fflush(stdout);
}

static int supervise(const char *self) {
  const char *argv[] = {self, "sleep", NULL};
  const MnkSupervisorConfig config = {.argv = argv, .backoff_min_ms = 10, .backoff_max_ms = 10};
  const MnkSupervisorEvents events = {.started = tell_pid};
  MnkSupervisor *supervisor = NULL;
  supervisor = mnk_supervisor_new(&config, &events, &supervisor);
  if (!mnk_supervisor_start(supervisor, NULL))
    return 1;
  g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
  g_main_loop_run(loop);
  return 0;
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  if (g_str_equal(mode, "supervise"))
    return supervise(argv[0]);
  if (argc < 4 || !g_str_equal(argv[argc - 2], "--fd"))
    return 2;
  g_autofree char *fds = open_descriptors();
  g_autoptr(MnkChannel) channel = mnk_channel_new((int)g_ascii_strtoll(argv[argc - 1], NULL, 10));
  if (g_str_equal(mode, "answer"))
    return answer(channel, fds);
  if (g_str_equal(mode, "exit"))
    return 3;
  if (g_str_equal(mode, "talk"))
    return talk_then_exit(channel);
  if (g_str_equal(mode, "flood"))
    return flood(channel);
  if (g_str_equal(mode, "garbage"))
    return write_garbage(channel);
  if (g_str_equal(mode, "wrong-way"))
    send_text(channel, MNK_MSG_QUIT, "{}");
  else if (g_str_equal(mode, "close"))
    close(mnk_channel_fd(channel));
  else if (g_str_equal(mode, "stubborn"))
    signal(SIGTERM, SIG_IGN);
  for (;;)
    pause();
}
