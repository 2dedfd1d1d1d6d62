// A sync when there is a network, whether or not the app is on the screen.

package karwan.android

import android.content.Context
import android.net.ConnectivityManager
import androidx.work.BackoffPolicy
import androidx.work.Constraints
import androidx.work.CoroutineWorker
import androidx.work.Data
import androidx.work.ExistingPeriodicWorkPolicy
import androidx.work.ExistingWorkPolicy
import androidx.work.NetworkType
import androidx.work.OneTimeWorkRequestBuilder
import androidx.work.PeriodicWorkRequestBuilder
import androidx.work.WorkManager
import androidx.work.WorkerParameters
import java.util.concurrent.TimeUnit
import karwan.KarwanDevice
import karwan.SyncState
import karwan.trouble
import uniffi.karwan_ffi.KarwanException

/** What an app's `Application` is: it holds the one open device of the process. */
interface DeviceHolder {
    /** The device, opened when it is asked for the first time; `null` before somebody has enrolled. */
    suspend fun device(): KarwanDevice?
}

/** Syncs once, large attachments only where the network is not paid by the byte; tries again where the network failed, and says so where the server refused. */
class SyncWorker(context: Context, parameters: WorkerParameters) : CoroutineWorker(context, parameters) {
    override suspend fun doWork(): Result {
        val device = (applicationContext as? DeviceHolder)?.device() ?: return Result.success()
        return try {
            val network = applicationContext.getSystemService(ConnectivityManager::class.java)
            device.sync(metered = network?.isActiveNetworkMetered ?: false).collect { state ->
                if (state is SyncState.Running) {
                    setProgress(Data.Builder().putString(PHASE, state.progress.phase.name).build())
                }
            }
            Result.success()
        } catch (later: KarwanException.Unreachable) {
            Result.retry()
        } catch (cancelled: KarwanException.Cancelled) {
            Result.retry()
        } catch (refused: KarwanException) {
            Result.failure(Data.Builder().putString(REASON, refused.trouble.reason).putString(MEND, refused.trouble.mend).build())
        }
    }

    companion object {
        /** Key of the progress: a phase of the sync. */
        const val PHASE = "phase"

        /** Key of the outcome of a sync that was refused. */
        const val REASON = "reason"

        /** Key of what the person can do about it. */
        const val MEND = "mend"
        private const val NOW = "karwan-sync-now"
        private const val REGULARLY = "karwan-sync"
        private val online = Constraints.Builder().setRequiredNetworkType(NetworkType.CONNECTED).build()

        /** As soon as there is a network. */
        fun now(context: Context) {
            val request = OneTimeWorkRequestBuilder<SyncWorker>()
                .setConstraints(online)
                .setBackoffCriteria(BackoffPolicy.EXPONENTIAL, 30, TimeUnit.SECONDS)
                .build()
            WorkManager.getInstance(context).enqueueUniqueWork(NOW, ExistingWorkPolicy.KEEP, request)
        }

        /** Every few hours while there is a network. */
        fun regularly(context: Context, hours: Long = 3) {
            val request = PeriodicWorkRequestBuilder<SyncWorker>(hours, TimeUnit.HOURS).setConstraints(online).build()
            WorkManager.getInstance(context).enqueueUniquePeriodicWork(REGULARLY, ExistingPeriodicWorkPolicy.KEEP, request)
        }
    }
}
