#include "models/models.h"
#include "stream/worker_priv.h"

#include <malloc.h>
#include <signal.h>
#include <unistd.h>

enum {
  MAX_STREAMS = 1024,
  POLL_MS = 200,
  MAX_POOL = 4,
  FREED_AT_ONCE = 8, /* slots of the inbox, an eighth of them */
};

/* All models compiled for one machine take about 100 MB. */
static const guint64 COMPILED_MAX = 512 << 20;

static const gint64 LATEST_MS = 8640000000000;

/* Buffers of this size are mapped and given back to the system one by one, smaller ones stay with
 * the process: mapping the planes of each frame anew takes longer than filling them. */
static const int MAPPED_FROM = 8 << 20, KEPT_FREE = 16 << 20;

typedef struct {
  MnkWorkplace place;
  MnkOutbox *outbox;
  MnkSlots *inbox;
  MnkBudget budget;
  guint32 freed[FREED_AT_ONCE][2]; /* stream and slot: read, and not yet given back */
  guint n_freed;
  GHashTable *watches; /* stream number -> MnkWatch */
  gint64 swept_us;
  gboolean quit;
} Worker;

static void say(Worker *worker, MnkMessageType type, guint32 number, const char *text,
                gsize length) {
  mnk_outbox_send(worker->outbox, type, number, text, length);
}

/* Slots go back several at a time: each word wakes two threads here and the server. */
static void give_back_slots(Worker *worker) {
  for (guint i = 0; i < worker->n_freed; i++) {
    char text[32];
    int n = g_snprintf(text, sizeof text, "{\"slot\":%u}", worker->freed[i][1]);
    say(worker, MNK_MSG_FRAME_FREE, worker->freed[i][0], text, (gsize)n);
  }
  worker->n_freed = 0;
}

static void tell_ended(Worker *worker, guint32 number, const GError *error) {
  g_autoptr(GString) text = g_string_new(NULL);
  mnk_ended_write(0, error, text);
  say(worker, MNK_MSG_ENDED, number, text->str, text->len);
}

/* What the worker may write: compiled models, and the camera's device for setting its format. */
static gboolean confine(const MnkWorkerSetup *setup, GError **error) {
  if (!setup->sandbox)
    return TRUE;
  const char *writable[3] = {NULL};
  guint n = 0;
  if (g_file_test(setup->cache_dir, G_FILE_TEST_IS_DIR))
    writable[n++] = setup->cache_dir;
  if (g_file_test(setup->device, G_FILE_TEST_EXISTS))
    writable[n++] = setup->device;
  MnkSandboxConfig config = {
      .max_memory = setup->max_memory, .network = setup->network, .writable = writable};
  return mnk_sandbox_enter(&config, error);
}

static void make_ready(Worker *worker, MnkLooker *looker) {
  g_autoptr(GString) text = g_string_new(NULL);
  worker->place.looker = looker;
  worker->place.pool =
      mnk_turns_new("decoder", MIN(g_get_num_processors(), MAX_POOL), mnk_watch_decode, NULL);
  mnk_looker_write(looker, text);
  say(worker, MNK_MSG_READY, 0, text->str, text->len);
}

/* The runtime is loaded and the cage is closed before a byte of any source is read; and before
 * there is another thread. */
static gboolean hello(Worker *worker, MnkMessage *message, GError **error) {
  g_autoptr(MnkJson) json = mnk_message_json(message, error);
  MnkWorkerSetup setup;
  if (worker->place.looker != NULL || json == NULL ||
      !mnk_worker_setup_read(mnk_json_root(json), &setup, error))
    return FALSE;
  mnk_log_set_level(setup.log_level);
  MnkPerceptionConfig config = {
      .models_dir = setup.models_dir,
      .cache_dir = setup.cache_dir,
      .threads = setup.threads,
      .parts = setup.parts,
      .stub = setup.stub,
  };
  g_mkdir_with_parents(setup.cache_dir, 0700);
  mnk_models_bound_cache(setup.cache_dir, COMPILED_MAX);
  worker->place.slots = mnk_slots_map(message->fd, MNK_SLOTS, MNK_SLOT_SIZE, error);
  message->fd = -1;
  gboolean ok = worker->place.slots != NULL && confine(&setup, error);
  MnkLooker *looker = ok ? mnk_looker_new(&config, error) : NULL;
  mnk_worker_setup_clear(&setup);
  if (looker != NULL)
    make_ready(worker, looker);
  return looker != NULL;
}

static gboolean map_inbox(Worker *worker, MnkMessage *message, GError **error) {
  if (worker->inbox != NULL) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "there is an inbox already");
    return FALSE;
  }
  worker->inbox = mnk_slots_map(message->fd, MNK_INBOX_SLOTS, MNK_INBOX_SLOT_SIZE, error);
  message->fd = -1;
  if (worker->inbox != NULL)
    mnk_blackbox_install(mnk_slots_bytes(worker->inbox, 0));
  return worker->inbox != NULL;
}

static gboolean check_place(Worker *worker, guint32 number, GError **error) {
  gpointer key = GUINT_TO_POINTER(number);
  MnkWatch *watch = g_hash_table_lookup(worker->watches, key);
  if (watch != NULL && mnk_watch_is_over(watch))
    g_hash_table_remove(worker->watches, key);
  if (g_hash_table_size(worker->watches) < MAX_STREAMS &&
      !g_hash_table_contains(worker->watches, key))
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
              "stream %u cannot be opened: known already, or more than %d", number, MAX_STREAMS);
  return FALSE;
}

static gboolean open_watch(Worker *worker, MnkMessage *message, GError **error) {
  g_autoptr(MnkJson) json = mnk_message_json(message, error);
  MnkWatchSetup setup;
  if (json == NULL || !mnk_watch_setup_read(mnk_json_root(json), &setup, error))
    return FALSE;
  gboolean ok = check_place(worker, message->stream, error);
  if (ok) {
    MnkWatch *watch = mnk_watch_new(&setup, message->stream, message->fd, &worker->place);
    message->fd = -1;
    g_hash_table_insert(worker->watches, GUINT_TO_POINTER(message->stream), watch);
  }
  mnk_watch_setup_clear(&setup);
  return ok;
}

static gboolean set_watch(MnkWatch *watch, const MnkMessage *message, GError **error) {
  g_autoptr(MnkJson) json = mnk_message_json(message, error);
  MnkWatchLive live;
  if (json == NULL || !mnk_watch_live_read(mnk_json_root(json), &live, error))
    return FALSE;
  mnk_watch_set(watch, &live);
  return TRUE;
}

static gboolean mark_watch(MnkWatch *watch, const MnkMessage *message, GError **error) {
  g_autoptr(MnkJson) json = mnk_message_json(message, error);
  gint64 number;
  if (json == NULL || !mnk_json_get_int(mnk_json_root(json), "number", MNK_JSON_REQUIRED, 0,
                                        G_MAXINT64, &number, error))
    return FALSE;
  mnk_watch_mark(watch, number);
  return TRUE;
}

/* The bytes are copied before anything else is done with them, and the slot goes back whatever
 * becomes of them. */
static gboolean take_pushed(Worker *worker, MnkWatch *watch, const MnkMessage *message,
                            GError **error) {
  g_autoptr(MnkJson) json = mnk_message_json(message, error);
  const MnkJsonValue *value = json != NULL ? mnk_json_root(json) : NULL;
  gint64 slot, length, pts_ms, arrival_us;
  if (json == NULL ||
      !mnk_json_get_int(value, "slot", MNK_JSON_REQUIRED, 1, MNK_INBOX_SLOTS - 1, &slot, error) ||
      !mnk_json_get_int(value, "length", MNK_JSON_REQUIRED, 1, MNK_INBOX_SLOT_SIZE, &length,
                        error) ||
      !mnk_json_get_int(value, "pts_ms", MNK_JSON_REQUIRED, 0, LATEST_MS, &pts_ms, error) ||
      !mnk_json_get_int(value, "arrival_us", MNK_JSON_REQUIRED, 0, G_MAXINT64, &arrival_us, error))
    return FALSE;
  if (watch != NULL && worker->inbox != NULL)
    mnk_watch_push(watch, mnk_slots_bytes(worker->inbox, (guint)slot), (gsize)length, pts_ms,
                   arrival_us);
  worker->freed[worker->n_freed][0] = message->stream;
  worker->freed[worker->n_freed++][1] = (guint32)slot;
  if (worker->n_freed == FREED_AT_ONCE)
    give_back_slots(worker);
  return TRUE;
}

static void free_slot(Worker *worker, const MnkMessage *message) {
  g_autoptr(MnkJson) json = mnk_message_json(message, NULL);
  gint64 slot = json != NULL ? mnk_json_int(mnk_json_get(mnk_json_root(json), "slot"), -1) : -1;
  if (worker->place.slots == NULL || slot < 0 || slot >= MNK_SLOTS ||
      !mnk_slots_release(worker->place.slots, (guint)slot))
    mnk_warning("ipc", NULL, "event=bad-slot slot=%" G_GINT64_FORMAT, slot);
}

/* Messages to one watch; those to one that has ended just now are nothing. */
static void handle_watch(Worker *worker, MnkWatch *watch, MnkMessage *message) {
  g_autoptr(GError) error = NULL;
  gboolean ok = TRUE;
  if (message->type == MNK_MSG_FRAME)
    ok = take_pushed(worker, watch, message, &error);
  else if (watch != NULL && message->type == MNK_MSG_SET)
    ok = set_watch(watch, message, &error);
  else if (watch != NULL && message->type == MNK_MSG_MARK)
    ok = mark_watch(watch, message, &error);
  else if (watch != NULL)
    mnk_watch_stop(watch);
  if (!ok)
    mnk_warning("ipc", NULL, "event=message-refused type=%d stream=%u reason=\"%s\"", message->type,
                message->stream, error->message);
}

static void handle(Worker *worker, MnkMessage *message) {
  g_autoptr(GError) error = NULL;
  gpointer key = GUINT_TO_POINTER(message->stream);
  if (message->type != MNK_MSG_HELLO && worker->place.looker == NULL)
    return; /* nothing is before HELLO */
  switch (message->type) {
  case MNK_MSG_HELLO:
    if (!hello(worker, message, &error)) {
      tell_ended(worker, 0, error);
      worker->quit = TRUE;
    }
    break;
  case MNK_MSG_INBOX:
    if (!map_inbox(worker, message, &error))
      mnk_warning("ipc", NULL, "event=no-inbox reason=\"%s\"", error->message);
    break;
  case MNK_MSG_OPEN:
    if (!open_watch(worker, message, &error))
      tell_ended(worker, message->stream, error);
    break;
  case MNK_MSG_CLOSE:
  case MNK_MSG_SET:
  case MNK_MSG_FRAME:
  case MNK_MSG_MARK:
    handle_watch(worker, g_hash_table_lookup(worker->watches, key), message);
    break;
  case MNK_MSG_SLOT_FREE:
    free_slot(worker, message);
    break;
  case MNK_MSG_PING:
    say(worker, MNK_MSG_PONG, 0, "{}", 2);
    break;
  case MNK_MSG_QUIT:
    worker->quit = TRUE;
    break;
  default:
    mnk_warning("ipc", NULL, "event=message-ignored type=%d", message->type);
  }
}

static gboolean sweep_one(gpointer key, gpointer watch, gpointer now_us) {
  if (mnk_watch_is_over(watch))
    return TRUE;
  mnk_watch_tick(watch, *(gint64 *)now_us);
  return FALSE;
}

/* Once in a while, not after each message: there may be a thousand watches. */
static void sweep(Worker *worker) {
  gint64 now_us = g_get_monotonic_time();
  if (now_us - worker->swept_us < POLL_MS * G_GINT64_CONSTANT(1000))
    return;
  worker->swept_us = now_us;
  give_back_slots(worker);
  g_hash_table_foreach_remove(worker->watches, sweep_one, &now_us);
}

int mnk_worker_run(int fd) {
  /* Ctrl-C goes to the whole group; it is the server that decides. */
  signal(SIGINT, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  mallopt(M_MMAP_THRESHOLD, MAPPED_FROM);
  mallopt(M_TRIM_THRESHOLD, KEPT_FREE);
  Worker worker = {
      .place.channel = mnk_channel_new(fd),
      .watches =
          g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)(void (*)(void))mnk_watch_free),
  };
  worker.place.budget = &worker.budget;
  worker.outbox = mnk_outbox_new(worker.place.channel);
  int status = 0;
  while (!worker.quit) {
    g_autoptr(GError) error = NULL;
    g_autoptr(MnkMessage) message = mnk_channel_receive(worker.place.channel, POLL_MS, &error);
    if (error != NULL) {
      status =
          g_error_matches(error, MNK_ERROR, MNK_ERROR_CANCELLED) ? 0 : mnk_error_exit_code(error);
      break;
    }
    if (message != NULL)
      handle(&worker, message);
    sweep(&worker);
  }
  g_hash_table_unref(worker.watches);
  mnk_turns_free(worker.place.pool);
  mnk_looker_free(worker.place.looker);
  mnk_outbox_free(worker.outbox);
  mnk_blackbox_remove();
  mnk_slots_free(worker.inbox);
  mnk_slots_free(worker.place.slots);
  mnk_channel_free(worker.place.channel);
  return status;
}
