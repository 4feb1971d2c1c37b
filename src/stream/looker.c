/* Looker: the worker's one perception, shared by its watches, on a thread of its own. */
#include "stream/worker_priv.h"

struct _MnkLooker {
  MnkPerception *perception;
  guint wanted; /* parts */
  MnkTurns *turns;
  const MnkWatch *last; /* the watch of the last look; compared, never followed */
};

/* What perception remembers from frame to frame holds for one stream only. */
static gboolean look(MnkWatch *watch, MnkJpegReader *reader, gboolean urgent, gpointer user) {
  MnkLooker *looker = user;
  gboolean other_before = looker->last != watch;
  if (!urgent)
    looker->last = watch;
  return mnk_watch_look(watch, looker->perception, reader, urgent, other_before);
}

MnkLooker *mnk_looker_new(const MnkPerceptionConfig *config, GError **error) {
  g_autoptr(MnkPerception) perception = mnk_perception_new(config, error);
  if (perception == NULL)
    return NULL;
  MnkLooker *looker = g_new0(MnkLooker, 1);
  looker->perception = g_steal_pointer(&perception);
  looker->wanted = config->parts;
  looker->turns = mnk_turns_new("looker", 1, look, looker);
  return looker;
}

void mnk_looker_free(MnkLooker *looker) {
  if (looker == NULL)
    return;
  mnk_turns_free(looker->turns);
  mnk_perception_free(looker->perception);
  g_free(looker);
}

MnkTurns *mnk_looker_turns(MnkLooker *looker) {
  return looker->turns;
}

void mnk_looker_write(const MnkLooker *looker, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_int(&w, "parts", mnk_perception_parts(looker->perception));
  mnk_json_begin_object(&w, "faults");
  for (guint bit = 1; bit <= MNK_PART_TEXT; bit <<= 1) {
    const char *fault = mnk_perception_fault(looker->perception, (MnkPart)bit);
    if (fault != NULL && (looker->wanted & bit))
      mnk_json_add_string(&w, mnk_part_name((MnkPart)bit), fault);
  }
  mnk_json_end_object(&w);
  mnk_json_end_object(&w);
}
