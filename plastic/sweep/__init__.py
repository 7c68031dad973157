"""Sweeps: one command over grids, lists and random draws of its options, each point a run folder of its own.

python -m plastic.sweep gait --grid.seed=1,2,3 --grid.algorithm=BP,GAIT --dataset=glyphs --nb_epochs=10
python -m plastic.sweep FILE.toml

plan        what a sweep is: a command, fixed options, and the points, from a file or a line
rehearsal   points that are taken to where their work would begin, to refuse at once what cannot be
point       running one of them: begun, resumed, or waited for
together    points that differ in their seed alone, trained in one run where that is faster
engines     who runs them: processes of this machine (loky), Ray or Dask
record      sweep.json, what the folders of the points say, and what is left to do
halving     successive halving: short runs of all, longer ones of the best
summary     summary.csv: means, deviations and intervals over seeds
"""
