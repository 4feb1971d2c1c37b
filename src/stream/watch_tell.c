/* What the server is told of a watch. */
#include "stream/watch_priv.h"

#include <string.h>

void mnk_watch_send(MnkWatch *watch, MnkMessageType type, const GString *text) {
  if (!mnk_channel_send(watch->place->channel, type, watch->number, text->str, text->len, -1, -1,
                        NULL))
    g_atomic_int_set(&watch->stop, 1); /* the server is gone */
}

void mnk_watch_tell_observation(MnkWatch *watch, const MnkObservation *obs) {
  g_autoptr(GString) text = g_string_new(NULL);
  mnk_observation_write_json(obs, text);
  mnk_watch_send(watch, MNK_MSG_OBSERVATION, text);
}

gboolean mnk_watch_tell_picture(MnkWatch *watch, MnkMessageType type, gint64 pts_ms,
                                const guint8 *jpeg, gsize length) {
  if (length > MNK_SLOT_SIZE)
    return FALSE;
  int slot = mnk_slots_acquire(watch->place->slots);
  if (slot < 0)
    return FALSE; /* the server is behind: it has other pictures */
  memcpy(mnk_slots_bytes(watch->place->slots, (guint)slot), jpeg, length);
  g_autoptr(GString) text = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, text);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_int(&w, "pts_ms", pts_ms);
  mnk_json_add_int(&w, "slot", slot);
  mnk_json_add_int(&w, "length", (gint64)length);
  mnk_json_end_object(&w);
  mnk_watch_send(watch, type, text);
  return TRUE;
}

static void read_counters(MnkWatch *watch, MnkWatchCounters *out) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&watch->lock);
  *out = watch->counters;
}

void mnk_watch_tell_counters(MnkWatch *watch, gboolean always) {
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&watch->telling);
  MnkWatchCounters now;
  read_counters(watch, &now);
  now.queued = now.received - now.encoded - now.gated - now.late - now.dropped;
  now.waiting_jpegs = watch->pushing != NULL ? mnk_pushing_waiting(watch->pushing) : 0;
  now.waiting_looks = mnk_backlog_count(watch->backlog, MNK_SAMPLE_FRAME) +
                      mnk_backlog_count(watch->backlog, MNK_SAMPLE_DUPLICATE);
  g_autoptr(GString) text = g_string_new(NULL);
  mnk_watch_counters_write(&now, text);
  if (!always && g_strcmp0(text->str, watch->told) == 0)
    return;
  g_free(watch->told);
  watch->told = g_strdup(text->str);
  mnk_watch_send(watch, MNK_MSG_COUNTERS, text);
}

void mnk_watch_tell_marked(MnkWatch *watch, gint64 number) {
  g_autoptr(GString) text = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, text);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_int(&w, "number", number);
  mnk_json_end_object(&w);
  mnk_watch_send(watch, MNK_MSG_MARKED, text);
}

void mnk_watch_tell_ended(MnkWatch *watch) {
  g_autoptr(GString) text = g_string_new(NULL);
  mnk_ended_write(watch->end_ms + watch->setup.offset_ms, watch->failure, text);
  mnk_watch_send(watch, MNK_MSG_ENDED, text);
}
