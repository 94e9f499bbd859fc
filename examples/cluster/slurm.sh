#!/bin/sh
# Three hosts of Slurm: one for the scheduler and `zcload run`, one that sends, one that receives.
#
#   zcload cluster keys                       # once, in a directory that all hosts see
#   sbatch examples/cluster/slurm.sh heavy
#
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=00:30:00
set -eu
study=${1:-heavy}
tls="--tls-ca-file zcload-keys/ca.pem --tls-cert zcload-keys/cert.pem --tls-key zcload-keys/key.pem"
quiet="--preload zcload.cluster.quiet --no-dashboard"

set -- $(scontrol show hostnames "$SLURM_JOB_NODELIST")
control=$1 sender=$2 receiver=$3
address=$(srun --nodes=1 --ntasks=1 --nodelist="$control" hostname -i | cut -d ' ' -f 1)

dask scheduler $quiet --host "tls://$address" --port 8786 $tls &
scheduler=$!
trap 'kill $scheduler' EXIT
for role in sender receiver; do
  if [ "$role" = sender ]; then host=$sender; else host=$receiver; fi
  srun --overlap --nodes=1 --ntasks=1 --nodelist="$host" dask worker "tls://$address:8786" $quiet --name "$host" --resources "$role=1" \
    --nthreads 1 --no-nanny --death-timeout 60 $tls &
done
sleep 30  # until the workers are there
zcload run "$study" --cluster "tls://$address:8786"
