#include "models/models.h"
#include "stream/stream_priv.h"

#include <signal.h>
#include <unistd.h>

enum { MAX_STREAMS = 64, POLL_MS = 200 };

/* All models compiled for one machine take about 100 MB. */
static const guint64 COMPILED_MAX = 512 << 20;

typedef struct {
  MnkChannel *channel;
  MnkSlots *slots;
  MnkLooker *looker;
  GHashTable *watches; /* stream number -> MnkWatch */
  gboolean quit;
} Worker;

static MnkJson *payload_json(const MnkMessage *message, GError **error) {
  gsize length = 0;
  const char *bytes = g_bytes_get_data(message->payload, &length);
  return mnk_json_parse(bytes, length, NULL, error);
}

static void tell_ended(Worker *worker, guint32 number, const GError *error) {
  g_autoptr(GString) text = g_string_new(NULL);
  mnk_ended_write(0, error, text);
  mnk_channel_send(worker->channel, MNK_MSG_ENDED, number, text->str, text->len, -1, -1, NULL);
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

/* The runtime is loaded and the cage is closed before a byte of any source is read. */
static gboolean hello(Worker *worker, MnkMessage *message, GError **error) {
  g_autoptr(MnkJson) json = payload_json(message, error);
  MnkWorkerSetup setup;
  if (worker->looker != NULL || json == NULL ||
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
  worker->slots = mnk_slots_map(message->fd, MNK_SLOTS, MNK_SLOT_SIZE, error);
  message->fd = -1;
  if (worker->slots != NULL && confine(&setup, error))
    worker->looker = mnk_looker_new(&config, worker->channel, error);
  mnk_worker_setup_clear(&setup);
  return worker->looker != NULL;
}

static gboolean open_watch(Worker *worker, MnkMessage *message, GError **error) {
  g_autoptr(MnkJson) json = payload_json(message, error);
  MnkWatchSetup setup;
  if (json == NULL || !mnk_watch_setup_read(mnk_json_root(json), &setup, error))
    return FALSE;
  gpointer key = GUINT_TO_POINTER(message->stream);
  if (worker->looker == NULL || g_hash_table_size(worker->watches) >= MAX_STREAMS ||
      g_hash_table_contains(worker->watches, key)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
                "stream %u cannot be opened: known already, or more than %d", message->stream,
                MAX_STREAMS);
    mnk_watch_setup_clear(&setup);
    return FALSE;
  }
  MnkWatch *watch = mnk_watch_new(&setup, message->stream, message->fd, worker->channel,
                                  worker->slots, worker->looker);
  message->fd = -1;
  g_hash_table_insert(worker->watches, key, watch);
  mnk_watch_setup_clear(&setup);
  return TRUE;
}

static void free_slot(Worker *worker, const MnkMessage *message) {
  g_autoptr(MnkJson) json = payload_json(message, NULL);
  gint64 slot = json != NULL ? mnk_json_int(mnk_json_get(mnk_json_root(json), "slot"), -1) : -1;
  if (worker->slots == NULL || slot < 0 || slot >= MNK_SLOTS ||
      !mnk_slots_release(worker->slots, (guint)slot))
    mnk_warning("ipc", NULL, "event=bad-slot slot=%" G_GINT64_FORMAT, slot);
}

static void handle(Worker *worker, MnkMessage *message) {
  g_autoptr(GError) error = NULL;
  MnkWatch *watch = g_hash_table_lookup(worker->watches, GUINT_TO_POINTER(message->stream));
  switch (message->type) {
  case MNK_MSG_HELLO:
    if (!hello(worker, message, &error)) {
      tell_ended(worker, 0, error);
      worker->quit = TRUE;
    }
    break;
  case MNK_MSG_OPEN:
    if (!open_watch(worker, message, &error))
      tell_ended(worker, message->stream, error);
    break;
  case MNK_MSG_CLOSE:
    if (watch != NULL)
      mnk_watch_stop(watch);
    break;
  case MNK_MSG_SLOT_FREE:
    free_slot(worker, message);
    break;
  case MNK_MSG_PING:
    mnk_channel_send(worker->channel, MNK_MSG_PONG, 0, "{}", 2, -1, -1, NULL);
    break;
  case MNK_MSG_QUIT:
    worker->quit = TRUE;
    break;
  default:
    mnk_warning("ipc", NULL, "event=message-ignored type=%d", message->type);
  }
}

static gboolean over(gpointer key, gpointer watch, gpointer user) {
  return mnk_watch_is_over(watch);
}

int mnk_worker_run(int fd) {
  /* Ctrl-C goes to the whole group; it is the server that decides. */
  signal(SIGINT, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  Worker worker = {
      .channel = mnk_channel_new(fd),
      .watches =
          g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)(void (*)(void))mnk_watch_free),
  };
  int status = 0;
  while (!worker.quit) {
    g_autoptr(GError) error = NULL;
    g_autoptr(MnkMessage) message = mnk_channel_receive(worker.channel, POLL_MS, &error);
    if (error != NULL) {
      status =
          g_error_matches(error, MNK_ERROR, MNK_ERROR_CANCELLED) ? 0 : mnk_error_exit_code(error);
      break;
    }
    if (message != NULL)
      handle(&worker, message);
    g_hash_table_foreach_remove(worker.watches, over, NULL);
  }
  g_hash_table_unref(worker.watches);
  mnk_looker_free(worker.looker);
  mnk_slots_free(worker.slots);
  mnk_channel_free(worker.channel);
  return status;
}
