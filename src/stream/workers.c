/* The pool of worker processes, and a stream's link to one of them.
 *
 * Messages to a worker never wait: what its socket does not take stays in a queue and goes out when
 * there is room. Only pushed frames are not queued here, they are refused, because newer ones will
 * come. */
#include "stream/stream_priv.h"

#include <string.h>
#include <unistd.h>

enum { STOP_MS = 2000 };

/* A stream that was in hand in so many crashes within this time is not given to a worker again. */
enum { CRASHES_MAX = 3 };
static const gint64 CRASHES_WITHIN_US = 60 * G_USEC_PER_SEC;

typedef enum { LOCAL, CAMERA, NETWORK } ProcessKind;
static const char *const KIND_NAMES[] = {"local", "camera", "network"};

typedef struct {
  MnkWorkers *workers;
  ProcessKind kind;
  char *device; /* the camera that it may open; "" */
  MnkSupervisor *supervisor;
  MnkSlots *slots, *inbox;
  GHashTable *links; /* number -> MnkLink, borrowed */
  guint32 next_number;
  gboolean up;
  guint64 deaths;
  char *fault; /* what it says about missing parts; NULL: nothing */
  MnkSender *sender;
} Process;

struct _MnkWorkers {
  MnkSettings *settings;
  gboolean patient;
  GPtrArray *processes; /* of Process, owned */
};

struct _MnkLink {
  Process *process; /* NULL: it was given up */
  guint32 number;
  MnkLinkEvents events;
  gpointer user;
  guint start_source;
  gint64 crashes_us[CRASHES_MAX]; /* when it was in hand last, in turn */
  guint crashes;
};

/* ---- sending ---- */

static void post(Process *process, MnkMessageType type, guint32 stream, const char *text,
                 gsize length, int fd) {
  mnk_sender_post(process->sender, type, stream, text, length, fd);
}

static void post_slot(Process *process, MnkMessageType type, guint slot) {
  char text[32];
  int length = g_snprintf(text, sizeof text, "{\"slot\":%u}", slot);
  post(process, type, 0, text, (gsize)length, -1);
}

/* ---- events of the worker ---- */

/* The links of now: a link that goes while others are told is left out. */
static GArray *numbers(Process *process) {
  GArray *list = g_array_new(FALSE, FALSE, sizeof(guint32));
  GHashTableIter iter;
  gpointer key;
  g_hash_table_iter_init(&iter, process->links);
  while (g_hash_table_iter_next(&iter, &key, NULL)) {
    guint32 number = GPOINTER_TO_UINT(key);
    g_array_append_val(list, number);
  }
  return list;
}

static MnkLink *link_of(Process *process, guint32 number) {
  return g_hash_table_lookup(process->links, GUINT_TO_POINTER(number));
}

static void say_hello(Process *process) {
  g_autoptr(GString) text = g_string_new(NULL);
  MnkSourceName what = {.kind = process->kind == CAMERA ? MNK_SOURCE_CAMERA : MNK_SOURCE_FILE,
                        .address = process->device,
                        .network = process->kind == NETWORK};
  MnkWorkerSetup setup;
  mnk_worker_setup_init(&setup, process->workers->settings, &what);
  mnk_worker_setup_write(&setup, text);
  mnk_worker_setup_clear(&setup);
  post(process, MNK_MSG_HELLO, 0, text->str, text->len, dup(mnk_slots_fd(process->slots)));
  post(process, MNK_MSG_INBOX, 0, "{}", 2, dup(mnk_slots_fd(process->inbox)));
}

static void on_started(MnkChannel *channel, guint attempt, gpointer user) {
  Process *process = user;
  if (attempt > 0)
    mnk_warning("ipc", NULL, "event=worker-started kind=%s attempt=%u", KIND_NAMES[process->kind],
                attempt);
  process->up = TRUE;
  mnk_sender_connect(process->sender, channel);
  say_hello(process);
  g_autoptr(GArray) list = numbers(process);
  for (guint i = 0; i < list->len; i++) {
    MnkLink *link = link_of(process, g_array_index(list, guint32, i));
    if (link != NULL && link->start_source == 0)
      link->events.started(link->user);
  }
}

static void on_ready(Process *process, const MnkJsonValue *value) {
  MnkJsonIter iter = {0};
  const char *part = NULL;
  const MnkJsonValue *why = NULL;
  g_autoptr(GString) faults = g_string_new(NULL);
  while (mnk_json_next(mnk_json_get(value, "faults"), &iter, &part, &why)) {
    mnk_warning("vision", NULL, "event=part-missing part=%s reason=\"%s\"", part,
                mnk_json_string(why, ""));
    g_string_append_printf(faults, "%s%s: %s", faults->len > 0 ? "; " : "", part,
                           mnk_json_string(why, ""));
  }
  g_clear_pointer(&process->fault, g_free);
  if (faults->len > 0)
    process->fault = g_strdup(faults->str);
}

/* HELLO was refused: no stream of this worker can be. */
static void on_refused(Process *process, MnkMessage *message) {
  g_autoptr(GArray) list = numbers(process);
  for (guint i = 0; i < list->len; i++) {
    MnkLink *link = link_of(process, g_array_index(list, guint32, i));
    if (link != NULL)
      link->events.message(message, link->user);
  }
}

static void on_own_message(Process *process, MnkMessage *message) {
  g_autoptr(MnkJson) json = mnk_message_json(message, NULL);
  const MnkJsonValue *root = json != NULL ? mnk_json_root(json) : NULL;
  gint64 slot = mnk_json_int(mnk_json_get(root, "slot"), -1);
  if (message->type == MNK_MSG_READY)
    on_ready(process, root);
  else if (message->type == MNK_MSG_ENDED)
    on_refused(process, message);
  else if (message->type == MNK_MSG_FRAME_FREE &&
           (slot < 0 || slot >= MNK_INBOX_SLOTS || !mnk_slots_release(process->inbox, (guint)slot)))
    mnk_warning("ipc", NULL, "event=bad-slot slot=%" G_GINT64_FORMAT, slot);
}

/* Of a stream that has just gone: its slot must be free again. */
static void drop_picture(Process *process, MnkMessage *message) {
  g_autoptr(MnkJson) json = mnk_message_json(message, NULL);
  gint64 slot = json != NULL ? mnk_json_int(mnk_json_get(mnk_json_root(json), "slot"), -1) : -1;
  if (slot >= 0 && slot < MNK_SLOTS)
    post_slot(process, MNK_MSG_SLOT_FREE, (guint)slot);
}

static void on_message(MnkMessage *message, gpointer user) {
  Process *process = user;
  MnkLink *link = link_of(process, message->stream);
  if (link != NULL && message->type != MNK_MSG_FRAME_FREE)
    link->events.message(message, link->user);
  else if (message->stream == 0 || message->type == MNK_MSG_FRAME_FREE)
    on_own_message(process, message);
  else if (message->type == MNK_MSG_PICTURE || message->type == MNK_MSG_PREVIEW)
    drop_picture(process, message);
}

/* The worker's own book of its slots went with it; ours of the inbox begins anew. */
static void free_inbox(Process *process) {
  for (guint slot = 1; slot < MNK_INBOX_SLOTS; slot++)
    mnk_slots_release(process->inbox, slot);
}

static void process_free(gpointer data) {
  Process *process = data;
  GHashTableIter iter;
  gpointer link;
  mnk_sender_free(process->sender);
  mnk_supervisor_stop(process->supervisor, process->up ? STOP_MS : 0);
  mnk_supervisor_free(process->supervisor);
  g_hash_table_iter_init(&iter, process->links);
  while (g_hash_table_iter_next(&iter, NULL, &link))
    ((MnkLink *)link)->process = NULL;
  g_hash_table_unref(process->links);
  mnk_slots_free(process->slots);
  mnk_slots_free(process->inbox);
  g_free(process->device);
  g_free(process->fault);
  g_free(process);
}

/* The stream that was in hand when the worker crashed, if it is known to be the same one too often.
 */
static MnkLink *culprit(Process *process) {
  guint32 *page = (guint32 *)(gpointer)mnk_slots_bytes(process->inbox, 0);
  MnkLink *link = link_of(process, *page);
  *page = 0;
  if (link == NULL)
    return NULL;
  gint64 now_us = mnk_clock_mono_us(mnk_clock_system());
  link->crashes_us[link->crashes++ % CRASHES_MAX] = now_us;
  gint64 oldest_us = link->crashes_us[link->crashes % CRASHES_MAX];
  return link->crashes >= CRASHES_MAX && now_us - oldest_us < CRASHES_WITHIN_US ? link : NULL;
}

static void on_died(const char *why, gboolean given_up, gpointer user) {
  Process *process = user;
  MnkLink *guilty = culprit(process);
  process->deaths++;
  process->up = FALSE;
  mnk_sender_connect(process->sender, NULL);
  free_inbox(process);
  mnk_warning("ipc", NULL, "event=worker-died kind=%s reason=\"%s\" given_up=%d streams=%u",
              KIND_NAMES[process->kind], why, given_up, g_hash_table_size(process->links));
  g_autoptr(GArray) list = numbers(process);
  for (guint i = 0; i < list->len; i++) {
    MnkLink *link = link_of(process, g_array_index(list, guint32, i));
    if (link != NULL)
      link->events.died(why, given_up || (process->workers->patient && link == guilty), link->user);
  }
  if (given_up)
    g_ptr_array_remove(process->workers->processes, process);
}

/* ---- processes ---- */

static Process *process_new(MnkWorkers *workers, ProcessKind kind, const char *device,
                            GError **error) {
  static const MnkSupervisorEvents EVENTS = {on_started, on_message, on_died};
  g_autofree char *self = mnk_path_self(error);
  if (self == NULL)
    return NULL;
  const char *const argv[] = {self, "worker", NULL};
  MnkSupervisorConfig config = {
      .argv = argv,
      .deaths_max =
          workers->patient ? 0 : (guint)mnk_settings_int(workers->settings, MNK_OPT_WORKER_DEATHS),
      .backoff_min_ms = 100,
      .backoff_max_ms = 10000,
      .hang_ms = mnk_settings_int(workers->settings, MNK_OPT_WORKER_HANG),
  };
  Process *process = g_new0(Process, 1);
  process->workers = workers;
  process->kind = kind;
  process->device = g_strdup(device);
  process->links = g_hash_table_new(NULL, NULL);
  process->sender = mnk_sender_new();
  process->supervisor = mnk_supervisor_new(&config, &EVENTS, process);
  process->slots = mnk_slots_new(MNK_SLOTS, MNK_SLOT_SIZE, error);
  if (process->slots != NULL)
    process->inbox = mnk_slots_new(MNK_INBOX_SLOTS, MNK_INBOX_SLOT_SIZE, error);
  if (process->inbox != NULL)
    mnk_slots_acquire(process->inbox); /* the first: the black box */
  if (process->inbox != NULL && mnk_supervisor_start(process->supervisor, error)) {
    g_ptr_array_add(workers->processes, process);
    return process;
  }
  process_free(process);
  return NULL;
}

/* The process for a source: a camera's own, the one for the network, or the emptiest local one. */
static Process *process_for(MnkWorkers *workers, ProcessKind kind, const char *device,
                            GError **error) {
  Process *best = NULL;
  guint n = 0;
  for (guint i = 0; i < workers->processes->len; i++) {
    Process *process = workers->processes->pdata[i];
    if (process->kind != kind || !g_str_equal(process->device, device))
      continue;
    n++;
    if (best == NULL || g_hash_table_size(process->links) < g_hash_table_size(best->links))
      best = process;
  }
  guint wanted = kind == LOCAL ? (guint)mnk_settings_int(workers->settings, MNK_OPT_WORKERS) : 1;
  if (best != NULL && (n >= wanted || g_hash_table_size(best->links) == 0))
    return best;
  return process_new(workers, kind, device, error);
}

MnkWorkers *mnk_workers_new(const MnkSettings *settings) {
  MnkWorkers *workers = g_new0(MnkWorkers, 1);
  workers->settings = mnk_settings_copy(settings);
  workers->processes = g_ptr_array_new_with_free_func(process_free);
  return workers;
}

void mnk_workers_free(MnkWorkers *workers) {
  if (workers == NULL)
    return;
  g_ptr_array_unref(workers->processes);
  mnk_settings_free(workers->settings);
  g_free(workers);
}

void mnk_workers_be_patient(MnkWorkers *workers) {
  workers->patient = TRUE;
}

guint mnk_workers_count(const MnkWorkers *workers) {
  return workers->processes->len;
}

void mnk_workers_state(const MnkWorkers *workers, guint index, MnkWorkerState *out) {
  const Process *process = workers->processes->pdata[index];
  *out = (MnkWorkerState){
      .kind = KIND_NAMES[process->kind],
      .pid = mnk_supervisor_pid(process->supervisor),
      .streams = g_hash_table_size(process->links),
      .deaths = process->deaths,
      .fault = process->fault,
  };
}

gboolean mnk_workers_warm(MnkWorkers *workers, GError **error) {
  return process_for(workers, LOCAL, "", error) != NULL;
}

/* ---- links ---- */

static gboolean start_now(gpointer user) {
  MnkLink *link = user;
  link->start_source = 0;
  if (link->process != NULL && link->process->up)
    link->events.started(link->user);
  return G_SOURCE_REMOVE;
}

MnkLink *mnk_link_new(MnkWorkers *workers, const MnkSourceName *source, const MnkLinkEvents *events,
                      gpointer user, GError **error) {
  ProcessKind kind = source->kind == MNK_SOURCE_CAMERA ? CAMERA : source->network ? NETWORK : LOCAL;
  Process *process = process_for(workers, kind, kind == CAMERA ? source->address : "", error);
  if (process == NULL)
    return NULL;
  MnkLink *link = g_new0(MnkLink, 1);
  link->process = process;
  link->number = ++process->next_number;
  link->events = *events;
  link->user = user;
  if (process->up)
    link->start_source = g_idle_add(start_now, link);
  g_hash_table_insert(process->links, GUINT_TO_POINTER(link->number), link);
  return link;
}

void mnk_link_free(MnkLink *link) {
  if (link == NULL)
    return;
  g_clear_handle_id(&link->start_source, g_source_remove);
  Process *process = link->process;
  if (process != NULL) {
    mnk_link_send(link, MNK_MSG_CLOSE, "{}", 2, -1);
    g_hash_table_remove(process->links, GUINT_TO_POINTER(link->number));
    if (process->kind == CAMERA && g_hash_table_size(process->links) == 0)
      g_ptr_array_remove(process->workers->processes, process);
  }
  g_free(link);
}

void mnk_link_send(MnkLink *link, MnkMessageType type, const char *text, gsize length, int fd) {
  if (link->process != NULL)
    post(link->process, type, link->number, text, length, fd);
  else if (fd >= 0)
    close(fd);
}

gboolean mnk_link_is_up(const MnkLink *link) {
  return link->process != NULL && link->process->up && link->start_source == 0;
}

GPid mnk_link_pid(const MnkLink *link) {
  return link->process != NULL ? mnk_supervisor_pid(link->process->supervisor) : 0;
}

gboolean mnk_link_push(MnkLink *link, const guint8 *jpeg, gsize length, gint64 pts_ms,
                       gint64 arrival_us) {
  Process *process = link->process;
  if (!mnk_link_is_up(link) || length > MNK_INBOX_SLOT_SIZE)
    return FALSE;
  int slot = mnk_slots_acquire(process->inbox);
  if (slot < 0)
    return FALSE;
  memcpy(mnk_slots_bytes(process->inbox, (guint)slot), jpeg, length);
  char text[160];
  int n = g_snprintf(text, sizeof text,
                     "{\"slot\":%d,\"length\":%" G_GSIZE_FORMAT ",\"pts_ms\":%" G_GINT64_FORMAT
                     ",\"arrival_us\":%" G_GINT64_FORMAT "}",
                     slot, length, pts_ms, arrival_us);
  if (mnk_sender_try(process->sender, MNK_MSG_FRAME, link->number, text, (gsize)n))
    return TRUE;
  mnk_slots_release(process->inbox, (guint)slot);
  return FALSE;
}

GBytes *mnk_link_picture(MnkLink *link, const MnkJsonValue *value, gint64 *pts_ms, GError **error) {
  gint64 slot, length;
  if (!mnk_json_get_int(value, "pts_ms", MNK_JSON_REQUIRED, 0, G_MAXINT64, pts_ms, error) ||
      !mnk_json_get_int(value, "slot", MNK_JSON_REQUIRED, 0, MNK_SLOTS - 1, &slot, error) ||
      !mnk_json_get_int(value, "length", MNK_JSON_REQUIRED, 1, MNK_SLOT_SIZE, &length, error))
    return NULL;
  GBytes *jpeg = g_bytes_new(mnk_slots_bytes(link->process->slots, (guint)slot), (gsize)length);
  post_slot(link->process, MNK_MSG_SLOT_FREE, (guint)slot);
  return jpeg;
}
