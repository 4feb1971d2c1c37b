/* What the local model remembers of each stream: opened when the stream begins, kept for questions
 * when it has ended, saved to the data folder now and then, and taken from there when the program
 * starts again. */
#include "api/streams_priv.h"

#include <errno.h>
#include <glib/gstdio.h>

enum {
  RESTING_MAX = 16, /* memories of ended streams in the worker */
  SNAPSHOT_MAX = 1 << 30,
  TICK_MS = 1000,
};

typedef struct {
  MnkMemories *memories;
  char *id;
  MnkLocalStream *stream;
  gboolean running;     /* its stream brings frames */
  gint64 rested_us;     /* since when it does not */
  gint64 saved_us;      /* when it was saved last, or opened */
  guint64 saved_frames; /* encoded by then; 0: that was not kept */
  gboolean asked;       /* the model's worker was asked for its bytes */
  gboolean again;       /* and is asked once more then, if there is more to save */
} Memory;

struct _MnkMemories {
  MnkApi *api;
  char *folder;
  GHashTable *table;   /* id -> Memory */
  GHashTable *writing; /* ids whose file is being written: set */
  guint timer;
};

static gint64 mono_us(void) {
  return mnk_clock_mono_us(mnk_clock_system());
}

static void memory_free(gpointer data) {
  Memory *memory = data;
  if (memory->memories->api->asker != NULL)
    mnk_asker_forget(memory->memories->api->asker, memory->id);
  mnk_local_close(memory->stream);
  g_free(memory->id);
  g_free(memory);
}

static char *path_of(const MnkMemories *memories, const char *id) {
  g_autofree char *name = g_strconcat(id, ".memory", NULL);
  return g_build_filename(memories->folder, name, NULL);
}

/* ---- saving ---- */

/* Outlives the memory, and the whole table when it must. */
typedef struct {
  MnkMemories *memories; /* NULL: gone */
  char *id;
  GBytes *next;      /* came meanwhile, and is written then; NULL: none */
  gboolean unwanted; /* what is being written goes again */
} Writing;

static void writing_free(Writing *writing) {
  g_clear_pointer(&writing->next, g_bytes_unref);
  g_free(writing->id);
  g_free(writing);
}

static void remove_file(const MnkMemories *memories, const char *id) {
  g_autofree char *path = path_of(memories, id);
  if (g_unlink(path) != 0 && errno != ENOENT)
    mnk_warning("api", id, "event=memory-not-removed reason=\"%s\"", g_strerror(errno));
}

static void on_written(GObject *source, GAsyncResult *result, gpointer user);

/* Takes snapshot. */
static void write_file(Writing *writing, GBytes *snapshot) {
  g_autoptr(GBytes) bytes = snapshot;
  g_autofree char *path = path_of(writing->memories, writing->id);
  g_autoptr(GFile) file = g_file_new_for_path(path);
  g_file_replace_contents_bytes_async(file, bytes, NULL, FALSE,
                                      G_FILE_CREATE_PRIVATE | G_FILE_CREATE_REPLACE_DESTINATION,
                                      NULL, on_written, writing);
}

static void on_written(GObject *source, GAsyncResult *result, gpointer user) {
  Writing *writing = user;
  MnkMemories *memories = writing->memories;
  g_autoptr(GError) error = NULL;
  gboolean kept = g_file_replace_contents_finish(G_FILE(source), result, NULL, &error);
  if (!kept)
    mnk_warning("api", writing->id, "event=memory-not-saved reason=\"%s\"", error->message);
  Memory *memory = memories != NULL ? g_hash_table_lookup(memories->table, writing->id) : NULL;
  if (!kept && memory != NULL)
    memory->saved_frames = 0;
  if (memories != NULL && writing->unwanted)
    remove_file(memories, writing->id);
  writing->unwanted = FALSE;
  if (memories != NULL && writing->next != NULL) {
    write_file(writing, g_steal_pointer(&writing->next));
    return;
  }
  if (memories != NULL)
    g_hash_table_remove(memories->writing, writing->id);
  writing_free(writing);
}

static void save(Memory *memory);

static void on_saved(GBytes *snapshot, const GError *error, gpointer user) {
  Memory *memory = user;
  MnkMemories *memories = memory->memories;
  memory->asked = FALSE;
  memory->saved_us = mono_us();
  if (snapshot == NULL) {
    mnk_warning("api", memory->id, "event=memory-not-saved reason=\"%s\"", error->message);
    memory->saved_frames = 0;
    return;
  }
  Writing *writing = g_hash_table_lookup(memories->writing, memory->id);
  if (writing != NULL) { /* the disk is slow */
    g_clear_pointer(&writing->next, g_bytes_unref);
    writing->next = g_bytes_ref(snapshot);
  } else {
    writing = g_new0(Writing, 1);
    writing->memories = memories;
    writing->id = g_strdup(memory->id);
    g_hash_table_insert(memories->writing, writing->id, writing);
    write_file(writing, g_bytes_ref(snapshot));
  }
  if (memory->again)
    save(memory);
}

/* The file is to be as if nothing had been saved. */
static void forget_file(MnkMemories *memories, const char *id) {
  Writing *writing = g_hash_table_lookup(memories->writing, id);
  if (writing != NULL) {
    g_clear_pointer(&writing->next, g_bytes_unref);
    writing->unwanted = TRUE;
  }
  remove_file(memories, id);
}

static void save(Memory *memory) {
  MnkLocalMemory now;
  memory->again = FALSE;
  mnk_local_memory(memory->stream, &now);
  if (memory->asked || now.encoded == memory->saved_frames ||
      mnk_local_state(memory->memories->api->local) != MNK_LOCAL_READY)
    return;
  memory->asked = TRUE;
  memory->saved_frames = now.encoded;
  mnk_local_save(memory->stream, on_saved, memory);
}

static gboolean on_tick(gpointer user) {
  MnkMemories *memories = user;
  gint64 every_ms = mnk_settings_int(memories->api->settings, MNK_OPT_CKPT);
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init(&iter, memories->table);
  while (every_ms > 0 && g_hash_table_iter_next(&iter, NULL, &value)) {
    Memory *memory = value;
    if (mono_us() - memory->saved_us >= every_ms * 1000)
      save(memory);
  }
  return G_SOURCE_CONTINUE;
}

void mnk_memories_save(MnkMemories *memories) {
  GHashTableIter iter;
  gpointer value;
  if (memories == NULL || mnk_settings_int(memories->api->settings, MNK_OPT_CKPT) == 0)
    return;
  g_hash_table_iter_init(&iter, memories->table);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    Memory *memory = value;
    save(memory);
    memory->again = memory->asked; /* what is on its way may be older */
  }
}

gboolean mnk_memories_are_saving(const MnkMemories *memories) {
  GHashTableIter iter;
  gpointer value;
  if (memories == NULL)
    return FALSE;
  g_hash_table_iter_init(&iter, memories->table);
  while (g_hash_table_iter_next(&iter, NULL, &value))
    if (((Memory *)value)->asked)
      return TRUE;
  return g_hash_table_size(memories->writing) > 0;
}

/* ---- streams come and go ---- */

/* Mapped, so that nothing is read here. NULL: there is none. */
static GBytes *read_snapshot(const MnkMemories *memories, const char *id) {
  g_autofree char *path = path_of(memories, id);
  g_autoptr(GError) error = NULL;
  g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, &error);
  if (file != NULL && g_mapped_file_get_length(file) <= SNAPSHOT_MAX)
    return g_mapped_file_get_bytes(file);
  if (!g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
    mnk_warning("api", id, "event=memory-not-read reason=\"%s\"",
                error != NULL ? error->message : "the file is too large");
  return NULL;
}

MnkLocalStream *mnk_memories_begin(MnkMemories *memories, const char *id,
                                   const MnkSettings *settings, gboolean again) {
  if (memories == NULL)
    return NULL;
  Memory *memory = g_hash_table_lookup(memories->table, id);
  if (memory != NULL && !again) {
    g_hash_table_remove(memories->table, id);
    memory = NULL;
  }
  if (memory == NULL) {
    g_autoptr(GBytes) snapshot = again ? read_snapshot(memories, id) : NULL;
    g_autoptr(GError) error = NULL;
    if (!again)
      forget_file(memories, id);
    MnkLocalStream *stream = mnk_local_open(memories->api->local, id, settings, snapshot, &error);
    if (stream == NULL) {
      mnk_warning("api", id, "event=memory-not-opened reason=\"%s\"", error->message);
      return NULL;
    }
    memory = g_new0(Memory, 1);
    memory->memories = memories;
    memory->id = g_strdup(id);
    memory->stream = stream;
    memory->saved_us = mono_us();
    g_hash_table_insert(memories->table, memory->id, memory);
  }
  memory->running = TRUE;
  return memory->stream;
}

static Memory *longest_resting(MnkMemories *memories) {
  Memory *found = NULL;
  guint resting = 0;
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init(&iter, memories->table);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    Memory *memory = value;
    if (memory->running)
      continue;
    resting++;
    if (found == NULL || memory->rested_us < found->rested_us)
      found = memory;
  }
  return resting > RESTING_MAX ? found : NULL;
}

void mnk_memories_rest(MnkMemories *memories, const char *id) {
  Memory *memory = memories != NULL ? g_hash_table_lookup(memories->table, id) : NULL;
  if (memory == NULL)
    return;
  memory->running = FALSE;
  memory->rested_us = mono_us();
  if (mnk_settings_int(memories->api->settings, MNK_OPT_CKPT) > 0)
    save(memory);
  memory = longest_resting(memories);
  if (memory != NULL)
    g_hash_table_remove(memories->table, memory->id);
}

MnkLocalStream *mnk_memories_find(MnkMemories *memories, const char *id) {
  Memory *memory = memories != NULL ? g_hash_table_lookup(memories->table, id) : NULL;
  if (memory == NULL)
    return NULL;
  if (!memory->running)
    memory->rested_us = mono_us();
  return memory->stream;
}

void mnk_memories_forget(MnkMemories *memories, const char *id) {
  if (memories == NULL)
    return;
  g_hash_table_remove(memories->table, id);
  forget_file(memories, id);
}

/* ---- life ---- */

MnkMemories *mnk_memories_new(MnkApi *api, GError **error) {
  g_autofree char *data = mnk_api_data_dir(api->settings);
  g_autofree char *folder = g_build_filename(data, "memory", NULL);
  if (g_mkdir_with_parents(folder, 0700) != 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_STORE, "%s: %s", folder, g_strerror(errno));
    return NULL;
  }
  MnkMemories *memories = g_new0(MnkMemories, 1);
  memories->api = api;
  memories->folder = g_steal_pointer(&folder);
  memories->table = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, memory_free);
  memories->writing = g_hash_table_new(g_str_hash, g_str_equal);
  memories->timer = g_timeout_add(TICK_MS, on_tick, memories);
  return memories;
}

void mnk_memories_free(MnkMemories *memories) {
  if (memories == NULL)
    return;
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init(&iter, memories->writing);
  while (g_hash_table_iter_next(&iter, NULL, &value))
    ((Writing *)value)->memories = NULL;
  g_clear_handle_id(&memories->timer, g_source_remove);
  g_hash_table_unref(memories->writing);
  g_hash_table_unref(memories->table);
  g_free(memories->folder);
  g_free(memories);
}
