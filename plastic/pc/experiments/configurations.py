"""The published configurations of Song et al. 2024, with the commands that run them, and the published seeds."""

from typing import NamedTuple


class Published(NamedTuple):
    """Configurations of one folder of the published code, the figure they belong to, the command, what it costs."""

    folder: str
    configurations: str
    figure: str
    command: str
    cost: str
    about: str = ""


_DEPTHS = "--T=128 --depths=1,2,4,6,8,10,12,14,15 --seeds=0,1,2"
ROWS = (
    Published("target_alignment", "base-112", "3a", "interference --rates=0.2 --iterations=64", "seconds"),
    Published("target_alignment", "base-112-lr", "3d", "interference", "seconds", "its rate 0.5 is not plotted"),
    Published(
        "target_alignment",
        "base-112-lr-first-bp, base-112-lr-first-pc, base-112-heatmap, base-112-heatmap-traj, base-112-levelmap",
        "",
        "interference --iterations=64",
        "seconds",
        "in its second figure, interference_first",
    ),
    Published("target_alignment", "base-depth-width-linear-angle", "3e", "alignment", "seconds"),
    Published("target_alignment", "base-depth", "ED", f"alignment {_DEPTHS}", "seconds"),
    Published("target_alignment", "base-depth-tp", "ED", f"alignment {_DEPTHS} --tp", "seconds"),
    Published("target_alignment", "base-depth-acf", "ED", f"alignment {_DEPTHS} --activation=tanh", "seconds"),
    Published(
        "target_alignment",
        "base-depth-init, base-depth-orth-init",
        "ED",
        f"alignment {_DEPTHS} --init=orthogonal",
        "seconds",
        "--rate=0.01 too",
    ),
    Published("target_alignment", "base-prospective-index", "ED", "prospective_index", "seconds"),
    Published(
        "target_alignment",
        "base-depth-width-linear",
        "",
        f"alignment {_DEPTHS} --batch_size=64",
        "seconds",
        "and with batches of 1, as base-depth",
    ),
    Published(
        "target_alignment",
        "base-depth-width",
        "",
        "alignment_over --over=gain --values=0.5,0.7071,1,1.4142,2,4,8 --activations=sigmoid,relu,linear "
        "--batch_size=64",
        "seconds",
        "--layers=2, 3, 4, 6, 8, 10, 15, 20 for the other depths",
    ),
    Published(
        "target_alignment",
        "base-width-linear",
        "",
        "alignment_over --over=width --values=1,2,4,8,16,32,64,128,256 --activations=linear --layers=3",
        "seconds",
        "and with --batch_size=64",
    ),
    Published(
        "target_alignment",
        "base-iteration",
        "",
        "alignment_over --over=iteration --values=1,2,4,8,16,32,64 --activations=sigmoid "
        "--inits=xavier-normal --layers=3 --rate=0.1",
        "seconds",
        "the updates until the published code draws other targets; --rate=0.05, 0.01, 0.005 too",
    ),
    Published(
        "target_alignment",
        "base",
        "",
        "alignment_over --over=rate --values=0.05,0.01,0.005,0.001,0.0005 --activations=sigmoid "
        "--inits=xavier-normal --layers=3",
        "seconds",
    ),
    Published(
        "target_alignment",
        "base-acf-init",
        "",
        "alignment_over --over=gain --values=0.1,0.5,1,5,10 --activations=linear,sigmoid,tanh,relu,leaky "
        "--inits=xavier-normal --layers=3",
        "seconds",
        "gains here are factors of the usual ones; the other rates by --rate",
    ),
    Published(
        "target_alignment",
        "base-acf-None, base-acf-ReLU, base-acf-Sigmoid, base-acf-Tanh",
        "",
        "alignment_over --over=gain --values=0.08,0.2,0.4,0.6,0.8,1,1.2,1.4,1.6,1.8,2 "
        "--activations=linear,relu,sigmoid,tanh --batch_size=64",
        "a minute",
        "the spread of the predictions, in its second row of panels; --layers for the other depths",
    ),
    Published("pc_pi_layered", "base", "ED", "prospective_index", "seconds"),
    Published(
        "example_122",
        "traj-pc, traj-bp, traj-output-pc, traj-output-bp, traj-small-lr-pc, traj-small-lr-bp, "
        "traj-small-lr-output-pc, traj-small-lr-output-bp, levelmap, levelmap-output",
        "ED",
        "trajectory",
        "seconds",
    ),
    Published("example_122", "traj-output", "", "trajectory --rate_pc=0.4", "seconds"),
    Published(
        "example_122", "traj-output-learn_last", "", "trajectory --learn_last --rate_pc=0.4 --iterations=10", "seconds"
    ),
    Published("example_122", "machine", "2", "machine", "seconds", "with the film, machine.gif"),
    Published("teacher_example_122", "base", "ED", "teacher", "seconds"),
    Published(
        "less_erratic",
        "traj-learning-rate-pc, traj-learning-rate-bp, traj-learning-rate-gr, traj-learning-rate-ap",
        "ED",
        "erratic",
        "a minute",
        "--clean for GeneRec and Almeida-Pineda as they are meant",
    ),
    Published(
        "less_erratic",
        "rand-data-all",
        "",
        "consistency --rates=0.1,0.05,0.01,0.005,0.001,0.0005,0.0001,0.00005,0.00001 --T=500 --gamma=0.1 "
        "--discount=0.5 --iterations=100 --seeds=1,2,3",
        "minutes",
        "--samples=1, 8 and --iterations=10 too",
    ),
    Published(
        "less_erratic",
        "base-path-rand-data",
        "",
        "consistency "
        "--rates=0.3,0.28,0.26,0.24,0.22,0.2,0.18,0.16,0.15,0.14,0.13,0.12,0.11,0.1,0.09,0.08,0.07,0.06,0.05"
        " --iterations=4",
        "seconds",
    ),
    Published(
        "less_erratic", "base-path-rand-one-data", "", "consistency --samples=1", "seconds", "with rates of our own"
    ),
    Published(
        "less_erratic",
        "base, base-path",
        "",
        "consistency --dataset=FMNIST --rates=0.01,0.005,0.001,0.0005,0.0001",
        "minutes",
        "without the rate 0.05, at which weights do not move any more",
    ),
    Published("less_erratic", "base-nature", "", "consistency --dataset=FMNIST", "minutes", "--gamma=0.1, 0.05 too"),
    Published(
        "less_erratic",
        "base-apgr",
        "",
        "",
        "",
        "GeneRec and Almeida-Pineda on images: an exploration that was given up",
    ),
    Published("search_depth", "base-focus", "3f, 3g, 3h", "depth", "a day; --grid=quick an hour"),
    Published(
        "search_depth",
        "base-focus-curve-deep",
        "",
        "depth --depths=15 --rates=5,1,0.5,0.1,0.05,0.01,0.005,0.001",
        "hours",
        "in its second figure, depth_curves",
    ),
    Published(
        "search_depth",
        "base",
        "",
        "depth --depths=2,4,6,8,10 --rates=0.05,0.01,0.005,0.001,0.0005,0.0001,0.00005,0.00001,0.000005",
        "hours",
        "--activation=relu, linear and --init=xavier-uniform too",
    ),
    Published(
        "search_depth",
        "base-regression-pc, base-regression-bp",
        "",
        "depth --task=regression --per_class=600 --depths=2,4,6,8,10,12,14,15 "
        "--rates=0.1,0.05,0.01,0.005,0.001,0.0005,0.0002,0.0001,0.00005,0.00001",
        "days",
        "measured on the test set, not in training",
    ),
    Published(
        "none_batch_new_analysis",
        "base-b1, base-b8, base-b16, base-b32, base-b64",
        "4b, 4c",
        "online",
        "hours; --grid=quick minutes",
    ),
    Published(
        "none_batch_new_analysis",
        "base-50-b1, base-50-b8, base-50-b32, base-50-b48, base-50-b64, base-50-b128",
        "",
        "online --batches=50 --batch_sizes=1,8,32,48,64,128 "
        "--rates=0.001,0.0025,0.005,0.0075,0.01,0.025,0.05,0.075,0.1",
        "hours",
        "given up there; the rates of all sizes",
    ),
    Published("small-arch-small-data", "bp-il", "4h", "smalldata", "hours; --grid=quick minutes"),
    Published(
        "small-arch-small-data",
        "bp-il-0, bp-il-1, bp-il-2, bp-il-3",
        "",
        "smalldata --per_class=60,600 --width=8 --rates=0.01,0.005,0.001,0.0005,0.0001 --seeds=1 --T=5000 "
        "--tolerance=0.001",
        "minutes",
        "of an older format, in which inference goes on until gamma is a thousandth: here until it is at "
        "rest; --width=32 too",
    ),
    Published(
        "small-arch-small-data",
        "bp-il-tmp",
        "",
        "smalldata --per_class=6000 --rates=0.0025 --seeds=2 --rules=pc",
        "an hour",
    ),
    Published(
        "small-arch-small-data",
        "bp-il-test-loss-co",
        "",
        "smalldata --per_class=60 --width=8 --loss_coefficient=1 "
        "--rates=0.025,0.01,0.0075,0.005,0.0025,0.001,0.00075,0.0005",
        "minutes",
        "and with the coefficient 0.5",
    ),
    Published(
        "small-arch-small-data",
        "bp-il-test-inference-rate-T",
        "",
        "smalldata --per_class=60 --width=8 --loss_coefficient=1 "
        "--rates=0.025,0.01,0.0075,0.005,0.0025,0.001 --gamma=0.1 --T=256",
        "minutes",
        "--gamma=1, 0.01 and --T=64 too",
    ),
    Published(
        "small-arch-small-data",
        "rbp-sazil",
        "",
        "smalldata --rules=ipc,repeated_bp --per_class=6,60 --width=8 --rates=0.01,0.001,0.0001,0.00001",
        "an hour",
        "Sa-Z-IL there is ipc with gamma 1; --width=32, 128 too; --rules=zil,bp for Z-IL itself",
    ),
    Published(
        "small-arch-small-data",
        "rbp-sazil-nd",
        "",
        "smalldata --rules=ipc,repeated_bp --per_class=6,60 --width=8 --rates=0.01,0.001,0.0001,0.00001 --discount=1",
        "an hour",
    ),
    Published(
        "small-arch-small-data",
        "rbp-sazil-wiw",
        "",
        "smalldata --rules=ipc,repeated_bp --per_class=10 --width=8 "
        "--rates=0.01,0.001,0.0001,0.00001,0.000001,0.0000001 --discount=1 --epochs=512",
        "hours",
        "without its biases, in batches of 60 instead of 100",
    ),
    Published("forgetting", "base-shuffle-task-5-FashionMNIST", "4d, 4e", "forgetting", "an hour"),
    Published(
        "forgetting",
        "base-shuffle-task-5-FashionMNIST-fr",
        "",
        "forgetting --iterations=88",
        "an hour",
        "in its second figure, forgetting_split",
    ),
    Published(
        "forgetting",
        "base-shuffle-task-5-CIFAR10, base-shuffle-task-5-CIFAR10-fr",
        "",
        "forgetting --dataset=CIFAR-10 --width=64 --per_class=5000",
        "a day",
        "5 GB of memory; all images of a class, of which one is left out, as there",
    ),
    Published(
        "forgetting",
        "base-shuffle-task-4-FashionMNIST, base-shuffle-task-3-FashionMNIST",
        "",
        "forgetting --interval=20 --iterations=160 --seeds=1,2,3,4,5,6,7,8",
        "hours",
        "and with --interval=4; exploration",
    ),
    Published(
        "forgetting",
        "base-shuffle-task-4-CIFAR10, base-shuffle-task-3-CIFAR10",
        "",
        "forgetting --dataset=CIFAR-10 --width=64 --per_class=5000 --interval=20 --iterations=160 "
        "--rates=0.005,0.001,0.0005,0.0001,0.00005,0.00001 --seeds=1,2,3,4,5,6,7,8",
        "a day",
        "and with --interval=4; exploration",
    ),
    Published(
        "forgetting",
        "base-shuffle-task-2",
        "",
        "forgetting --interval=20 --iterations=160 "
        "--rates=0.05,0.01,0.005,0.001,0.0005,0.0001,0.00005,0.00001,0.000005 --seeds=1,2,3,4,5,6",
        "hours",
        "and CIFAR-10, and --per_class=5000",
    ),
    Published(
        "forgetting",
        "base-shuffle-task, base-shuffle-task-1",
        "",
        "forgetting --interval=4 --iterations=80 --batch_size=120 "
        "--rates=0.05,0.01,0.005,0.001,0.0005,0.0001 --seeds=1,2,3",
        "an hour",
        "--interval=1, 20 and --batch_size=30, 500 too",
    ),
    Published(
        "forgetting",
        "base-2",
        "",
        "forgetting --noshared_outputs --interval=4 --iterations=80 --batch_size=120 "
        "--rates=0.05,0.01,0.005,0.001,0.0005,0.0001 --seeds=1,2,3",
        "an hour",
        "--interval=1, 20 and --batch_size=30, 500 too; no classes are permuted",
    ),
    Published(
        "forgetting",
        "base-1",
        "",
        "forgetting --noshared_outputs --interval=1 --iterations=80 --batch_size=60 "
        "--rates=0.05,0.01,0.005,0.001,0.0005,0.0001 --seeds=1,2,3",
        "an hour",
        "--batch_size=30 to 500",
    ),
    Published(
        "forgetting",
        "base",
        "",
        "forgetting --separate_outputs --blocked_errors --interval=1 --iterations=80 --batch_size=60 "
        "--rates=0.05,0.01,0.005,0.001 --seeds=1,2,3",
        "an hour",
        "and without either option (--noshared_outputs)",
    ),
    Published("concept_drift", "base", "4f, 4g", "drift", "hours; --rates=0.01 minutes"),
    Published(
        "concept_drift",
        "base-drift_intervel",
        "",
        "drift --interval=16 --iterations=1024 --rates=0.5,0.1,0.05,0.01,0.005,0.001",
        "an hour",
        "and with --interval=64",
    ),
    Published(
        "concept_drift",
        "base-num_iterations",
        "",
        "drift --iterations=2048 --rates=0.5,0.1,0.05,0.01,0.005,0.001",
        "hours",
    ),
    Published(
        "concept_drift",
        "base-target_min",
        "",
        "drift --nosigned_targets --iterations=1024 --rates=0.5,0.1,0.05,0.01,0.005,0.001",
        "an hour",
        "and with signed targets",
    ),
    Published(
        "concept_drift",
        "base-FashionMNIST",
        "",
        "drift --start=own --nosigned_targets --interval=512 --iterations=4096 --batch_size=20 --T=64 "
        "--rates=0.0025,0.001,0.00075,0.0005,0.00025,0.0001",
        "hours",
        "from weights that are not published",
    ),
    Published("concept_drift", "pre-FashionMNIST", "", "drift --start=own", "hours", "trains the start, too"),
    Published(
        "concept_drift", "pre", "", "", "", "a training with Adam on CIFAR-10, from which no other configuration begins"
    ),
    Published("cnn_v2", "base-ppc", "4i", "cnn --rules=ipc", "weeks on a CPU"),
    Published(
        "cnn_v2", "base-rbp", "4i", "cnn --rules=bp_published", "weeks on a CPU", "--rules=repeated_bp is the fair one"
    ),
    Published(
        "cnn_v2", "base-LeNet-ppc", "", "", "", "a search over 12 options by a scheduler, without a committed result"
    ),
    Published(
        "simple_dqn_new",
        "base-focus, base-ffocus",
        "4k",
        "rl --env=CartPole-v1",
        "hours",
        "and --env=Acrobot-v1, --env=MountainCar-v0; both have the same values",
    ),
    Published(
        "simple_dqn_new",
        "base",
        "",
        "",
        "",
        "a search over target networks, optimizers and activations, without a committed result",
    ),
    Published("coin_fig3_new", "base-train", "5f", "coin", "two minutes"),
    Published("coin_fig3_new", "base-train-fc", "", "coin --full", "two minutes"),
    Published("fear_conditioning", "base", "ED", "fear", "seconds"),
    Published("fear_conditioning", "base-init_std", "", "fear --spreads=0.01,0.05,0.1,0.5", "seconds"),
    Published(
        "fear_conditioning",
        "base-hidden_size, base-hidden_size-fc",
        "",
        "",
        "",
        "one seed with several hidden units for each input, without a figure",
    ),
    Published("reversal_task", "base-plot-pc, base-plot-bp", "6c", "reversal", "seconds"),
    Published(
        "reversal_task",
        "base",
        "",
        "reversal --seeds_pc=22 --seeds_bp=22 --rates=0.01,0.05,0.1 --spreads_pc=0.01,0.05,0.1 "
        "--spreads_bp=0.01,0.05,0.1",
        "seconds",
    ),
    Published(
        "reversal_task",
        "base-plot-reason-pc, base-plot-reason-bp, base-reason-simple, base-reason-simple-inference",
        "ED",
        "reversal",
        "seconds",
        "in its second figure",
    ),
)
# fmt: off
SEEDS = (
    1482555873, 698841058, 2283198659, 1855152618, 2444264003, 4191194675, 2563230118, 2508066235, 690101352,
    1489128536, 193493729, 3247095100, 2569134589, 3859394752, 3982413761, 2889788203, 3507183834, 1288605031,
    1603403502, 4110491292, 3228301166, 1625209643, 3229422879, 4117841395, 383017664, 369370935, 2278516753,
    2326123831, 3558864999, 281470168, 3965936537, 1095454788, 4151697083, 3549593167, 3621705125, 2951949230,
    2942809220, 1412354999, 3653984540, 38155820, 452984486, 2219886835, 1824037622, 1223472929, 375839252,
    2597045926, 187775831, 2291831353, 3551958879, 760971382, 1019978323, 3385238229, 2124033150, 2909826692,
    3761144171, 2586511809, 2821469938, 3244598120, 1195937429, 3800305993, 1106674707, 1922347502, 2999545244,
    1650175939, 3200709490, 1947803234, 301456582, 1611073380, 3238577641, 1446155378, 1705511488, 2777770570,
    3913116301, 1525032703, 3260116528, 3235491768, 2021899074, 550305527, 2227549273, 3227763636, 4034863635,
    2984716302, 822586165, 2244632731, 2578193189, 2806006426, 364049366, 2580805533, 1471857781, 636897984,
    3061662337, 3640170982, 3927284778, 3117797531, 1117650596, 223429686, 651134664, 955904314, 1703657804,
    2162018890,
)
# fmt: on
"""The published seeds, of which each configuration takes the first ones. Here they give other draws than there."""
