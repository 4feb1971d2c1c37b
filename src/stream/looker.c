#include "stream/stream_priv.h"

enum { MAX_WATCHES = 256 };

struct _MnkLooker {
  MnkPerception *perception;
  MnkChannel *channel;
  guint wanted; /* parts */
  GThread *thread;
  MnkQueue *turns; /* of Turn: each watch at most once, so that none waits behind another's queue */
};

/* Holds a reference, so that a watch that ends meanwhile is still there to say so. */
typedef struct {
  MnkWatch *watch;
} Turn;

static void turn_free(gpointer data) {
  Turn *turn = data;
  mnk_watch_unref(turn->watch);
  g_free(turn);
}

static void tell_parts(MnkLooker *looker) {
  g_autoptr(GString) text = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, text);
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
  mnk_channel_send(looker->channel, MNK_MSG_READY, 0, text->str, text->len, -1, -1, NULL);
}

static gpointer run(gpointer user) {
  MnkLooker *looker = user;
  tell_parts(looker);
  Turn *turn;
  while ((turn = mnk_queue_pop(looker->turns, -1)) != NULL) {
    if (mnk_watch_look(turn->watch, looker->perception))
      mnk_queue_push(looker->turns, turn);
    else
      turn_free(turn);
  }
  return NULL;
}

MnkLooker *mnk_looker_new(const MnkPerceptionConfig *config, MnkChannel *channel, GError **error) {
  g_autoptr(MnkPerception) perception = mnk_perception_new(config, error);
  if (perception == NULL)
    return NULL;
  MnkLooker *looker = g_new0(MnkLooker, 1);
  looker->perception = g_steal_pointer(&perception);
  looker->channel = channel;
  looker->wanted = config->parts;
  looker->turns = mnk_queue_new(MAX_WATCHES, MNK_QUEUE_BLOCK, turn_free);
  looker->thread = g_thread_new("looker", run, looker);
  return looker;
}

void mnk_looker_free(MnkLooker *looker) {
  if (looker == NULL)
    return;
  mnk_queue_close(looker->turns);
  g_thread_join(looker->thread);
  mnk_queue_free(looker->turns);
  mnk_perception_free(looker->perception);
  g_free(looker);
}

MnkPerception *mnk_looker_perception(MnkLooker *looker) {
  return looker->perception;
}

void mnk_looker_wake(MnkLooker *looker, MnkWatch *watch) {
  Turn *turn = g_new(Turn, 1);
  turn->watch = mnk_watch_ref(watch);
  mnk_queue_push(looker->turns, turn);
}
